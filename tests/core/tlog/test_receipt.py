from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tlog.receipt import TlogProof
from gateway.core.tlog.tree import leaf_hash
from gateway.errors import VerificationFailed
from tests.core.tlog.support import FIXTURES, GATEWAY_KEY, LOG_KEY, WITNESS_KEY, load, verify

RECEIPT = (FIXTURES / "entry_5_of_8.tlog-proof").read_bytes()
CHECKPOINT = (FIXTURES / "checkpoint_8.txt").read_bytes()
ENTRIES = [bytes.fromhex(entry) for entry in load("ct_tree.json")["entries"]]
LEAF = leaf_hash(ENTRIES[5])
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)
FIRST_HASH = b"vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="

REFUSED: dict[str, tuple[bytes, bytes]] = {
    "other version": (b"@v1", b"@v2"),
    "no header": (b"c2sp.org/tlog-proof@v1\n", b""),
    "no index": (b"index 5\n", b""),
    "index twice": (b"index 5\n", b"index 5\nindex 5\n"),
    "zero-padded index": (b"index 5", b"index 05"),
    "signed index": (b"index 5", b"index +5"),
    "two spaces": (b"index 5", b"index  5"),
    "no number": (b"index 5", b"index "),
    "index beyond 2^63": (b"index 5", b"index 9223372036854775807"),
    "unknown line": (b"index 5", b"more AA==\nindex 5"),
    "extra after index": (b"index 5\n", b"index 5\nextra AA==\n"),
    "extra twice": (b"index 5", b"extra AA==\nextra AA==\nindex 5"),
    "extra not base64": (b"index 5", b"extra A\nindex 5"),
    "extra without padding": (b"index 5", b"extra AA\nindex 5"),
    "short hash": (FIRST_HASH, b"vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZng=="),
    "stray bits in a hash": (FIRST_HASH, FIRST_HASH[:-2] + b"t="),
    "no empty line": (b"\n\nexample.com", b"\nexample.com"),
    "two empty lines": (b"\n\nexample.com", b"\n\n\nexample.com"),
    "carriage return": (b"index 5\n", b"index 5\r\n"),
    "no checkpoint": (CHECKPOINT, b""),
    "checkpoint with an extension": (b"RgQyg=\n", b"RgQyg=\nmore\n"),
    "zero-padded size": (b"\n8\n", b"\n08\n"),
}


def test_the_published_receipt() -> None:
    receipt = TlogProof.parse(RECEIPT)
    assert receipt.index == 5
    assert receipt.checkpoint == CHECKPOINT
    assert receipt.encode() == RECEIPT
    checkpoint, note = receipt.verify(LEAF, [LOG_KEY, WITNESS_KEY], verify)
    assert checkpoint.size == 8
    assert len(note.signatures) == 2


def test_a_receipt_holds_for_its_entry_only() -> None:
    receipt = TlogProof.parse(RECEIPT)
    for entry in (entry for entry in ENTRIES if entry != ENTRIES[5]):
        with pytest.raises(VerificationFailed, match="root"):
            receipt.verify(leaf_hash(entry), [LOG_KEY], verify)


def test_a_receipt_needs_the_log_to_have_signed() -> None:
    receipt = TlogProof.parse(RECEIPT)
    with pytest.raises(VerificationFailed, match="own log"):
        receipt.verify(LEAF, [WITNESS_KEY], verify)
    with pytest.raises(VerificationFailed, match="no signature"):
        receipt.verify(LEAF, [GATEWAY_KEY], verify)


def lines_accepted(data: bytes) -> int:
    try:
        _, note = TlogProof.parse(data).verify(LEAF, [LOG_KEY, WITNESS_KEY], verify)
    except (ValueError, VerificationFailed):
        return 0
    return len(note.signatures)


def test_every_flipped_byte_costs_a_signature() -> None:
    assert lines_accepted(RECEIPT) == 2
    for at in range(len(RECEIPT)):
        changed = RECEIPT[:at] + bytes([RECEIPT[at] ^ 1]) + RECEIPT[at + 1 :]
        assert lines_accepted(changed) < 2, at


@pytest.mark.parametrize(("old", "new"), REFUSED.values(), ids=REFUSED)
def test_refused_receipts(old: bytes, new: bytes) -> None:
    assert RECEIPT.count(old) >= 1
    with pytest.raises(ValueError):
        TlogProof.parse(RECEIPT.replace(old, new, 1))


def test_extra_travels_unauthenticated() -> None:
    receipt = TlogProof.parse(RECEIPT.replace(b"index 5", b"extra AAE=\nindex 5", 1))
    assert receipt.extra == b"\x00\x01"
    assert receipt.verify(LEAF, [LOG_KEY], verify)[0].size == 8


@given(st.integers(0, 2**62), HASHES, st.none() | st.binary(max_size=20))
def test_receipts_round_trip(index: int, hashes: tuple[bytes, ...], extra: bytes | None) -> None:
    receipt = TlogProof(index, hashes, CHECKPOINT, extra)
    assert TlogProof.parse(receipt.encode()) == receipt


@pytest.mark.parametrize(
    ("index", "hashes"), [(-1, ()), (2**63, ()), (0, (bytes(31),)), (0, (bytes(32),) * 64)]
)
def test_a_receipt_is_checked_when_built(index: int, hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError):
        TlogProof(index, hashes, CHECKPOINT)
