"""A ledger of 100 000 reads: verified whole, and every fault that is planted in it is found and named."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.core.tlog.checkpoint import Checkpoint
from gateway.core.tlog.note import SignedNote
from gateway.errors import VerificationFailed
from gateway.ledger.edge import RightEdge
from gateway.ledger.keys import KeyRing, load_keys
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.ledger.recorder import LedgerReader, Recorder
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.vault import Vault
from gateway.ledger.verify import PublicKeys, verify_store
from tests.endurance.site import Site
from tests.interop.served import clock_ms

SIZE = 100_000
EARLIER = 60_000  # about where a head was kept
AT_ONCE = 500


@dataclass(frozen=True)
class Large:
    """The ledger at rest, and a head of it that somebody kept."""

    site: Site
    kept: bytes

    @property
    def keys(self) -> KeyRing:
        return load_keys(self.site.folder / "keys")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Large:
    site = Site.make(tmp_path_factory.mktemp("large") / "site", "http://127.0.0.1:9/fhir")
    return Large(site, asyncio.run(_fill(site)))


async def _fill(site: Site) -> bytes:
    keys = load_keys(site.folder / "keys")
    with closing(Vault(site.folder / "vault.db", keys.kek)) as vault:
        recorder = Recorder(vault, keys.gateway)
        with closing(open_ledger(site.store, keys, clock_ms)) as ledger:
            await _append(ledger, recorder, EARLIER)
            await ledger.proof(ledger.head().size - 1)  # waits for a head over them
            kept = ledger.checkpoint()
            await _append(ledger, recorder, SIZE - ledger.head().size)
    return kept


async def _append(ledger: Ledger, recorder: Recorder, count: int) -> None:
    for done in range(0, count, AT_ONCE):
        now_ms = clock_ms()
        await ledger.append(
            [
                recorder.seal("read.permit", {"cli": "app-1", "st": 200}, f"pat-{i % 50}", now_ms)
                for i in range(min(AT_ONCE, count - done))
            ]
        )


def test_the_whole_ledger_is_verified_by_command(large: Large) -> None:
    said = large.site.command("ledger", "verify")
    assert f"verified {SIZE} entries" in said
    assert re.search(rf"^size +{SIZE}$", said, re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """SQL that plants it, for entry `:i`, tile `:t` and byte `:n`; SQL that undoes it; how it is named, and
    whether that takes the keys to the facts."""

    plant: str
    says: str
    undo: str = ""
    times: int = 2
    keys: bool = False

    @property
    def remove(self) -> str:
        return self.undo or self.plant


IN_ITS_PLACE = r"^(entry {i}|tile/0/{path}|tile/entries/{path})\b"
OLDEST = "size = (SELECT MIN(size) FROM checkpoint WHERE size > 0)"
IN_ITS_TILE = r"\btile/0/{path}\b"


def _index_of(kind: str) -> str:
    """Builds the index of kinds anew under another name of one kind, so that it lacks its entries."""
    rename = "UPDATE sqlite_schema SET sql = replace(sql, '{}', '{}') WHERE name = 'entry_state'"
    reread = "PRAGMA writable_schema = RESET"
    writable = "PRAGMA writable_schema = ON"
    there = [writable, rename.format("key.rotate", kind), reread, "REINDEX entry_state"]
    return ";".join([*there, writable, rename.format(kind, "key.rotate"), reread])


FAULTS = {
    "byte of a leaf": Fault("UPDATE entry SET leaf = flip(leaf, :n) WHERE idx = :i", IN_ITS_PLACE, times=10),
    "byte of a lower tile": Fault(
        "UPDATE tile SET data = flip(data, :n) WHERE level = 0 AND n = :t", IN_ITS_TILE, times=5
    ),
    "byte of an upper tile": Fault(
        "UPDATE tile SET data = flip(data, :n) WHERE level = 1 AND n = :t / 256",
        r"\btile/1/00[01]\b",
        times=1,
    ),
    "byte of the checkpoint": Fault(
        "UPDATE checkpoint SET note = flip(note, :n % length(note))"
        " WHERE size = (SELECT MAX(size) FROM checkpoint)",
        "checkpoint|note|signature",
        times=6,
    ),
    "byte of a nonce": Fault(
        "UPDATE entry SET nonce = flip(nonce, :n % 16) WHERE idx = :i", "^entry {i}: its columns", times=3
    ),
    "kind of an entry": Fault(
        "UPDATE entry SET kind = 'consent.revoke' WHERE idx = :i",
        "^entry {i}: its columns",
        "UPDATE entry SET kind = 'read.permit' WHERE idx = :i",
    ),
    "time of an entry": Fault(
        "UPDATE entry SET at_s = at_s + 1 WHERE idx = :i",
        "^entry {i}: its columns",
        "UPDATE entry SET at_s = at_s - 1 WHERE idx = :i",
    ),
    "missing sidecar": Fault(
        "UPDATE sidecar SET idx = -9 WHERE idx = :i",
        "^entry {i}: its sidecar is missing",
        "UPDATE sidecar SET idx = :i WHERE idx = -9",
    ),
    "missing entry": Fault(
        "UPDATE entry SET idx = -9 WHERE idx = :i",
        "^entry {i}: missing",
        "UPDATE entry SET idx = :i WHERE idx = -9",
    ),
    "two entries swapped": Fault(
        "UPDATE entry SET idx = -9 WHERE idx = :i; UPDATE entry SET idx = :i WHERE idx = :j;"
        "UPDATE entry SET idx = :j WHERE idx = -9",
        IN_ITS_PLACE,
        times=4,
    ),
    "one entry more": Fault(
        "INSERT INTO entry SELECT 100000, kind, at_s, nonce, leaf FROM entry WHERE idx = :i",
        "^entry 100000: the head does not cover it",
        "DELETE FROM entry WHERE idx = 100000",
        times=1,
    ),
    "root of the head": Fault(
        "UPDATE head SET root = flip(root, :n % 32)",
        "^checkpoint: the entries do not lead to its root",
        times=1,
    ),
    "frontier of the head": Fault("UPDATE head SET frontier = flip(frontier, :n % 32)", "^head:", times=1),
    "size of the head": Fault(
        "UPDATE head SET size = size - 1",
        "^checkpoint: 100000 entries were published",
        "UPDATE head SET size = size + 1",
        times=1,
    ),
    "mark of the head": Fault(
        "UPDATE head SET mark = mark + 5", "^head:", "UPDATE head SET mark = mark - 5", times=1
    ),
    "byte of a sidecar": Fault(
        "UPDATE sidecar SET data = flip(data, :n) WHERE idx = :i",
        "^entry {i}: its sidecar is not the one recorded",
        times=3,
        keys=True,
    ),
    "key id of a sidecar": Fault(
        "UPDATE sidecar SET key_id = flip(key_id, :n % 16) WHERE idx = :i",
        "^entry {i}: its sidecar names a key that is unknown",
        keys=True,
    ),
    "byte of an old checkpoint": Fault(
        f"UPDATE checkpoint SET note = flip(note, :n % length(note)) WHERE {OLDEST}",
        r"^checkpoint of size \d+:",
        times=1,
    ),
    "an old checkpoint under another size": Fault(
        f"UPDATE checkpoint SET size = size - 1 WHERE {OLDEST}",
        r"^checkpoint of size \d+: it is of size",
        f"UPDATE checkpoint SET size = size + 1 WHERE {OLDEST}",
        times=1,
    ),
    "entries of the index": Fault(
        _index_of("key.xxxxxx"), "^database: .* index entry_state", "REINDEX entry_state", times=1
    ),
    "trigger": Fault(
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN SELECT 1\\; END",
        "^database: trigger t ",
        "DROP TRIGGER t",
        times=1,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_named(large: Large, name: str) -> None:
    fault, dice = FAULTS[name], random.Random(name)
    for _ in range(fault.times):
        # Early places more often: a verification ends at what it finds.
        i = int(SIZE * dice.random() ** 3)
        place = {"i": i, "j": dice.randrange(i + 1, SIZE), "t": i // 256, "n": dice.randrange(240)}
        with _changed(large, fault.plant, place), pytest.raises(VerificationFailed) as found:
            _verify(large, keys=fault.keys)
        with _changed(large, fault.remove, place):
            pass
        assert re.search(fault.says.format(i=i, path=f"{i // 256:03d}"), found.value.text), (
            place,
            found.value,
        )
    assert large.site.store.exists()


def test_without_them_it_is_verified_and_continues_every_head(large: Large) -> None:
    for head in (large.keys.checkpoint_path.read_bytes(), large.kept):
        assert _verify(large, head) == SIZE


@pytest.mark.parametrize("name", ["byte of a leaf", "two entries swapped"])
def test_the_command_ends_with_status_1_and_the_place(large: Large, name: str) -> None:
    fault = FAULTS[name]
    place = {"i": 1234, "j": 77_777, "t": 4, "n": 200}
    with _changed(large, fault.plant, place):
        said = large.site.command("ledger", "verify", status=1)
    with _changed(large, fault.remove, place):
        pass
    assert re.match(r"consentry: (entry 1234|tile/0/004)\b", said)


def test_a_byte_of_a_sidecar_is_found_by_the_command_and_where_its_facts_are_read(large: Large) -> None:
    flip = "UPDATE sidecar SET data = flip(data, :n) WHERE idx = :i"
    for place in ({"i": 5000, "n": 3}, {"i": 5000, "n": 300}, {"i": 99_999, "n": 15}):
        with _changed(large, flip, place):
            said = large.site.command("ledger", "entry", str(place["i"]), status=1)
            if place["i"] < SIZE // 2:
                said_by_all = large.site.command("ledger", "verify", status=1)
        with _changed(large, flip, place):
            pass
        assert f"entry {place['i']}: its sidecar is not the one recorded" in said
        assert said_by_all.startswith("consentry: entry 5000: its sidecar is not the one recorded")


def test_a_tail_cut_below_a_kept_head_is_found(large: Large, tmp_path: Path) -> None:
    """The whole database set back with care to a head that was once published, and the key folder with it."""
    site = Site(tmp_path / "cut")
    shutil.copytree(large.site.folder, site.folder)
    size, note = _set_back(site)
    assert "rolled back" in site.command("ledger", "entry", "0", status=1)
    assert "shorter than the head seen before" in site.command("ledger", "verify", status=1)
    (site.folder / "keys/checkpoint").write_bytes(note)
    with closing(SqliteReader(site.store)) as reader:
        assert verify_store(reader, PublicKeys(large.keys.log.verifier)).size == size  # nothing else is wrong
    said = site.command("ledger", "verify", "--saved-head", _file(large, "kept", large.kept), status=1)
    assert said == "consentry: checkpoint: the log is shorter than the head seen before\n"


def _set_back(site: Site) -> tuple[int, bytes]:
    """Makes the last head before EARLIER the last one there is, with all that belongs to it."""
    with closing(sqlite3.connect(site.store)) as db, db:
        note: bytes
        size, note = db.execute(
            "SELECT size, note FROM checkpoint WHERE size < ? ORDER BY size DESC", [EARLIER]
        ).fetchone()
        with closing(SqliteReader(site.store)) as reader:
            edge = RightEdge.from_tiles(size, reader.tile)
        db.execute("DELETE FROM entry WHERE idx >= ?", [size])
        db.execute("DELETE FROM sidecar WHERE idx >= ?", [size])
        db.execute("DELETE FROM checkpoint WHERE size > ?", [size])
        frontier = b"".join(edge.hashes)
        db.execute("UPDATE head SET size = ?, root = ?, frontier = ?", [size, edge.root(), frontier])
        for level in range(3):
            number, width = divmod(size >> 8 * level, 256)
            db.execute("DELETE FROM tile WHERE level = ? AND n > ?", [level, number - (width == 0)])
            cut = "UPDATE tile SET data = substr(data, 1, ?) WHERE level = ? AND n = ?"
            db.execute(cut, [32 * width, level, number])
    assert Checkpoint.parse(SignedNote.parse(note).text).size == size
    return size, note


def _verify(large: Large, head: bytes | None = None, *, keys: bool = False) -> int:
    """As the command does, but for the gateway's signatures, and for sidecars without `keys`: those take
    most of its time."""
    heads = [] if head is None else [head]
    with (
        closing(SqliteReader(large.site.store)) as reader,
        closing(Vault(large.site.folder / "vault.db", large.keys.kek)) as vault,
    ):
        opener = LedgerReader(reader, vault) if keys else None
        public = PublicKeys(large.keys.log.verifier)
        return verify_store(reader, public, saved_heads=heads, opener=opener).size


@contextmanager
def _changed(large: Large, script: str, place: dict[str, int]) -> Iterator[None]:
    with closing(sqlite3.connect(large.site.store, isolation_level=None)) as db:
        db.create_function("flip", 2, lambda data, n: data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :])
        for statement in re.split(r"(?<!\\);", script):
            db.execute(statement.replace("\\;", ";"), place)
    yield


def _file(large: Large, name: str, content: bytes) -> str:
    path = large.site.folder / name
    path.write_bytes(content)
    return str(path)
