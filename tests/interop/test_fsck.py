"""The served log under two strangers: tessera's `fsck`, and a verifier written from the RFC.

Both read by HTTP alone. What one of them lets pass the other has to find, so each fault says who does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.core.canon import unb64url
from gateway.ledger.ledger import Ledger
from gateway.ledger.reading import LedgerView
from gateway.ledger.sqlite_reader import SqliteReader
from tests.interop.fsck import accepts
from tests.interop.outsider import LogKey, Refused, Seen, leaf, verify, verify_proof
from tests.interop.served import House, Shown, opaque, shown, spoiled

SIZES = (0, 1, 2, 255, 256, 257, 511, 513, 3000)


@pytest.fixture
def key(house: House) -> LogKey:
    return LogKey.read(house.vkey.read_text())


async def test_fsck_accepts_the_log_as_it_grows(
    house: House, ledger: Ledger, log: Shown, key: LogKey, checker: Path
) -> None:
    for size in SIZES:
        await house.append(ledger, size - ledger.head().size)
        log.head(key, size)
        assert accepts(checker, log.url, house.vkey, size), size


async def test_fsck_accepts_a_log_of_three_levels(
    house: House, ledger: Ledger, log: Shown, key: LogKey, checker: Path
) -> None:
    for _ in range(17):
        await ledger.append(opaque(4000))
    log.head(key, 68_000)
    assert log.get("tile/2/000.p/1")
    assert accepts(checker, log.url, house.vkey, 68_000)


async def test_every_head_ever_published_stays_verifiable(
    house: House, ledger: Ledger, log: Shown, key: LogKey
) -> None:
    """An old head is verified from the partial tiles of its own size, and every later log continues it."""
    seen: list[Seen] = []
    notes: list[bytes] = []
    for size in SIZES:
        receipts = await house.append(ledger, size - ledger.head().size)
        notes.append(log.head(key, size))
        entries = verify(log.get, key, notes[-1], seen)
        assert [leaf(entries[r.index]) for r in receipts] == [r.leaf_hash for r in receipts]
        seen.append(key.open(notes[-1]))
    for place, note in enumerate(notes):
        assert len(verify(log.get, key, note, seen[:place])) == SIZES[place]
        with pytest.raises(Refused, match="no continuation"):
            verify(log.get, key, note, [Seen(key.name, SIZES[place], bytes(32))])


async def test_every_receipt_is_proved_by_its_address(
    house: House, ledger: Ledger, log: Shown, key: LogKey
) -> None:
    receipts = [r for count in (1, 3, 253, 44) for r in await house.append(ledger, count)]
    for receipt in receipts:
        origin, index, leaf_hash = str(receipt).split(";")  # the value of the Ledger-Entry header
        proof = log.body(f"proof/{index}")
        head = verify_proof(key, proof, int(index), unb64url(leaf_hash))
        assert (head.origin, head.size > int(index)) == (origin, True)
        with pytest.raises(Refused):
            verify_proof(key, proof, int(index), receipts[int(index) - 1].leaf_hash)
    assert log.get(f"proof/{len(receipts)}") is None


NOT_THERE = (
    "tile/0/001", "tile/0/001.p/45", "tile/1/000", "tile/1/000.p/2", "tile/2/000.p/1",
    "tile/entries/001.p/45",
    "tile/entries/002", "tile/data/000", "tile/8/0/000", "tile/0/x000/000", "tile/00/000", "tile/0/0",
    "tile/0/000.p/0", "tile/0/000.p/256", "tile/64/000", "tile/-1/000", "tile/", "tile/0/00%31",
    "tile/entries/x9999999999999999999999/000", "proof/300", "proof/-1", "proof/x",
    "proof/9999999999999999999999",
)  # fmt: skip


async def test_what_the_log_does_not_have_is_not_found(house: House, ledger: Ledger, log: Shown) -> None:
    await house.append(ledger, 300)
    assert {path: log.get(path) for path in NOT_THERE} == dict.fromkeys(NOT_THERE)
    assert log.body("tile/0/000.p/45") == log.body("tile/0/000")[: 45 * 32]  # an earlier width, for ever


@dataclass(frozen=True)
class Fault:
    """What an insider does to the database of 600 entries, and which of the two strangers notices."""

    script: str
    fsck: bool = True
    outsider: bool = True


FAULTS = {
    "nothing": Fault("", fsck=False, outsider=False),
    "flipped leaf byte": Fault("UPDATE entry SET leaf = flip(leaf, 60) WHERE idx = 100"),
    "flipped byte of the last leaf": Fault("UPDATE entry SET leaf = flip(leaf, 60) WHERE idx = 599"),
    "swapped neighbours": Fault(
        "UPDATE entry SET idx = -9 WHERE idx = 20; UPDATE entry SET idx = 20 WHERE idx = 21;"
        "UPDATE entry SET idx = 21 WHERE idx = -9"
    ),
    "swapped across bundles": Fault(
        "UPDATE entry SET idx = -9 WHERE idx = 10; UPDATE entry SET idx = 10 WHERE idx = 300;"
        "UPDATE entry SET idx = 300 WHERE idx = -9"
    ),
    "one entry twice": Fault(
        "UPDATE entry SET leaf = (SELECT leaf FROM entry e WHERE e.idx = 7) WHERE idx = 8"
    ),
    "cut tail": Fault("DELETE FROM entry WHERE idx >= 590"),
    "missing entry": Fault("DELETE FROM entry WHERE idx = 300"),
    "wrong full tile": Fault("UPDATE tile SET data = flip(data, 40) WHERE level = 0 AND n = 0"),
    "wrong partial tile": Fault("UPDATE tile SET data = flip(data, 40) WHERE level = 0 AND n = 2"),
    "wrong upper tile": Fault("UPDATE tile SET data = flip(data, 40) WHERE level = 1"),
    "missing tile": Fault("DELETE FROM tile WHERE level = 0 AND n = 1"),
    "tiles swapped": Fault("UPDATE tile SET n = -1 WHERE level = 0 AND n = 0;"
                           "UPDATE tile SET n = 0 WHERE level = 0 AND n = 1;"
                           "UPDATE tile SET n = 1 WHERE level = 0 AND n = -1"),
    "flipped root": Fault("UPDATE checkpoint SET note = flip(note, instr(note, x'0a363030') + 10)"),
    "flipped signature": Fault("UPDATE checkpoint SET note = flip(note, length(note) - 20)"),
    "flipped origin": Fault("UPDATE checkpoint SET note = flip(note, 3)"),
    # A head that was true once: nothing tells it from a log that stands still, but a head kept since.
    "rolled back": Fault("DELETE FROM checkpoint WHERE size > 300", fsck=False),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_a_planted_fault_is_refused(
    house: House, ledger: Ledger, log: Shown, key: LogKey, checker: Path, tmp_path: Path, name: str
) -> None:
    fault = FAULTS[name]
    await house.append(ledger, 300)
    log.head(key, 300)
    await house.append(ledger, 300)
    kept = key.open(log.head(key, 600))
    with spoiled(house, tmp_path / "spoiled.db", fault.script) as view, shown(view) as theirs:
        assert _outsider_accepts(theirs, key, kept) is not fault.outsider
        size = 300 if name == "rolled back" else 600
        assert accepts(checker, theirs.url, house.vkey, size, within_s=20) is not fault.fsck


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/001.p/44", "tile/0/001.p/44"])
@pytest.mark.parametrize("damage", ["longer", "cut", "another"])
async def test_a_body_that_is_not_whole_is_refused(
    house: House, ledger: Ledger, log: Shown, key: LogKey, checker: Path, path: str, damage: str
) -> None:
    """fsck reads past what follows the last entry or hash of a body; another verifier has to mind it."""
    await house.append(ledger, 300)
    log.head(key, 300)
    whole = log.body(path)
    other = {"longer": whole + whole, "cut": whole[:-1], "another": b"\x00\x01" + whole[2:]}[damage]
    with _Bent(house, path, other) as view, shown(view) as theirs:
        assert not _outsider_accepts(theirs, key)
        assert accepts(checker, theirs.url, house.vkey, 300, within_s=20) is (damage == "longer")


class _Bent(LedgerView):
    """A server that tells the truth except at one path."""

    def __init__(self, house: House, path: str, body: bytes) -> None:
        super().__init__(house.keys.origin, SqliteReader(house.path))
        self._path, self._other = path, body

    def tile(self, path: str) -> bytes | None:
        return self._other if path == self._path else super().tile(path)

    def __enter__(self) -> LedgerView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _outsider_accepts(log: Shown, key: LogKey, *kept: Seen) -> bool:
    try:
        verify(log.get, key, log.body("checkpoint"), kept)
    except Refused:
        return False
    return True
