"""Verifying what a server shows, against saved heads, receipts and keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.core.tlog.checkpoint import Checkpoint
from gateway.core.tlog.note import sign_note
from gateway.core.tlog.tree import leaf_hash
from gateway.errors import VerificationFailed
from gateway.ledger import verify as verify_module
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.ledger.reading import Receipt
from gateway.ledger.signing import SigningKey
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.verify import ServedSource, verify_log, verify_store
from tests.ledger.support import House, clock_ms, sealed


class Served:
    """The ledger as its addresses show it; `changed` replaces what is there."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.changed: dict[str, bytes | None] = {}

    def get(self, path: str) -> bytes | None:
        if path in self.changed:
            return self.changed[path]
        return self.ledger.checkpoint() if path == "checkpoint" else self.ledger.tile(path)

    def body(self, path: str) -> bytes:
        body = self.get(path)
        assert body is not None
        return body


@pytest.fixture
async def served(house: House) -> AsyncIterator[Served]:
    """300 entries, published."""
    ledger = open_ledger(house.path, house.keys, clock_ms)
    await ledger.append([house.read(f"pat-{i % 7}") for i in range(299)])
    await ledger.append([house.read(kind="consent.grant")])
    await ledger.proof(299)
    yield Served(ledger)
    ledger.close()


async def test_a_served_log_is_verified_by_its_bytes(house: House, served: Served) -> None:
    steps: list[tuple[int, int]] = []
    verified = verify_log(
        ServedSource(served.get), house.public, progress=lambda done, of: steps.append((done, of))
    )
    assert (verified.size, verified.published) == (300, 300)
    assert verified.kinds == {"read.permit": 299, "consent.grant": 1}
    assert verified.signatures_checked
    assert steps == [(256, 300), (300, 300)]


async def test_a_ledger_verifies_while_it_is_written(house: House, served: Served) -> None:
    async def write() -> None:
        for _ in range(60):
            await served.ledger.append([house.read()])

    writing = asyncio.create_task(write())
    reader = SqliteReader(house.path)
    sizes = []
    while not writing.done():
        sizes.append((await asyncio.to_thread(verify_store, reader, house.public)).size)
    await served.ledger.proof(served.ledger.head().size - 1)  # a checkpoint covers all that was written
    sizes.append(verify_store(reader, house.public).size)
    reader.close()
    assert sizes == sorted(sizes)
    assert sizes[-1] == served.ledger.head().size


@pytest.mark.parametrize(
    "path", ["checkpoint", "tile/entries/000", "tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"]
)
@pytest.mark.parametrize("damage", ["missing", "flipped", "cut", "longer"])
async def test_a_damaged_file_is_found(house: House, served: Served, path: str, damage: str) -> None:
    whole = served.body(path)
    flipped = whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    served.changed[path] = {"missing": None, "flipped": flipped, "cut": whole[:-1], "longer": whole + b"x"}[
        damage
    ]
    with pytest.raises(VerificationFailed):
        verify_log(ServedSource(served.get), house.public)


async def test_a_saved_head_must_be_a_beginning(house: House, served: Served) -> None:
    saved = served.ledger.checkpoint()
    await served.ledger.append([house.read() for _ in range(300)])
    await served.ledger.proof(599)
    verify_store(served.ledger.reader, house.public, saved_heads=[saved])
    verified = verify_log(ServedSource(served.get), house.public, saved_heads=[saved])
    assert verified.size == 600
    later = served.ledger.checkpoint()
    served.changed["checkpoint"] = saved
    with pytest.raises(VerificationFailed, match="shorter"):
        verify_log(ServedSource(served.get), house.public, saved_heads=[later])


async def test_every_saved_head_must_be_a_beginning(house: House, served: Served) -> None:
    good = served.ledger.checkpoint()
    log = house.keys.log
    forked = sign_note(Checkpoint(log.name, 200, bytes(32)).text(), log.verifier, log.sign).encode()
    verify_store(served.ledger.reader, house.public, saved_heads=[good, good])
    for heads in ([forked], [good, forked], [forked, good]):
        with pytest.raises(VerificationFailed, match="no continuation"):
            verify_store(served.ledger.reader, house.public, saved_heads=heads)


async def test_a_receipt_must_be_in_the_log(house: House, served: Served) -> None:
    (receipt,) = await served.ledger.append([house.read()])
    await served.ledger.proof(receipt.index)
    source = ServedSource(served.get)
    assert verify_log(source, house.public, receipt=receipt).size == 301
    for wrong, why in (
        (replace(receipt, index=299), "entry 299: it is not the one"),
        (replace(receipt, index=301), "entry 301: .* not in the log"),
        (replace(receipt, leaf_hash=bytes(32)), "entry 300: it is not the one"),
        (replace(receipt, origin="other.example/log"), "another log"),
    ):
        with pytest.raises(VerificationFailed, match=why):
            verify_log(source, house.public, receipt=wrong)


async def test_an_entry_that_no_known_gateway_signed_is_found(house: House, served: Served) -> None:
    await served.ledger.append([sealed()])
    with pytest.raises(VerificationFailed, match="entry 300: signed by an unknown gateway"):
        verify_store(served.ledger.reader, house.public)
    assert not verify_store(served.ledger.reader, replace(house.public, gateways=())).signatures_checked


async def test_of_several_findings_the_first_is_named(
    house: House, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures are checked behind the tree, in rows; whatever else is found, the place is the first."""
    for _ in range(2):
        await served.ledger.append([sealed(), *(house.read() for _ in range(300))])
    await served.ledger.proof(901)
    with pytest.raises(VerificationFailed, match="entry 300: signed by an unknown gateway"):
        verify_log(ServedSource(served.get), house.public)
    served.changed["tile/entries/002"] = served.body("tile/entries/003.p/134")
    for ahead in (0, verify_module.ROWS_AHEAD):
        monkeypatch.setattr(verify_module, "ROWS_AHEAD", ahead)
        with pytest.raises(VerificationFailed, match="entry 300: signed by an unknown gateway"):
            verify_log(ServedSource(served.get), house.public)
    with pytest.raises(VerificationFailed, match="tile/entries/002"):
        verify_log(ServedSource(served.get), replace(house.public, gateways=()))


async def test_a_signature_that_does_not_verify_is_found(house: House, served: Served) -> None:
    entry = house.read()
    at = entry.leaf.index(b'"sg":"') + 6
    leaf = entry.leaf[:at] + (b"B" if entry.leaf[at : at + 1] == b"A" else b"A") + entry.leaf[at + 1 :]
    await served.ledger.append([replace(entry, leaf=leaf, leaf_hash=leaf_hash(leaf))])
    with pytest.raises(VerificationFailed, match="entry 300: the gateway's signature does not verify"):
        verify_store(served.ledger.reader, house.public)


async def test_a_head_by_another_key_is_refused(house: House, served: Served) -> None:
    stranger = replace(house.public, log=SigningKey.generate(house.keys.origin).verifier)
    with pytest.raises(VerificationFailed):
        verify_log(ServedSource(served.get), stranger)


HASH = "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a;1",
        f"a;01;{HASH}",
        f"a;-1;{HASH}",
        f"a;1;{HASH[1:]}",
        f"a;1;{HASH}=",
        f"a;1;{HASH[1:]}B",
        "a;1;x;y",
    ],
)
def test_a_receipt_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError):
        Receipt.parse(text)
