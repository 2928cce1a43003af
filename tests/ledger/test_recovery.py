"""Crashes, rollbacks and edits: what is acknowledged stays, and a start notices what does not fit."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ConfigError, VerificationFailed
from gateway.ledger.keys import init_keys, load_keys
from gateway.ledger.ledger import create_ledger, open_ledger
from gateway.ledger.reading import Receipt
from gateway.ledger.remote import RemoteLedger, open_or_connect
from gateway.ledger.server import LedgerServer
from gateway.ledger.sqlite import WriterRunning
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.verify import PublicKeys, verify_store
from tests.ledger.support import House, check_everything, clock_ms

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(5))
async def test_a_killed_writer_loses_nothing_it_acknowledged(house: House, seed: int) -> None:
    acknowledged = _run_and_kill(house, seed, random.Random(seed).uniform(0.05, 0.6))
    ledger = open_ledger(house.path, house.keys, clock_ms)
    try:
        stored = ledger.reader
        for receipt in acknowledged:
            entry = stored.tile(0, receipt.index // 256)
            assert entry is not None
            place = receipt.index % 256 * 32
            assert entry[place : place + 32] == receipt.leaf_hash
        await ledger.append([house.read()])
        verified = verify_store(stored, PublicKeys(house.keys.log.verifier))
        assert verified.size > len(acknowledged) > 0
    finally:
        ledger.close()


def _run_and_kill(house: House, seed: int, after_s: float) -> list[Receipt]:
    command = [sys.executable, "-m", "tests.ledger.writer_process", str(house.path.parent), str(seed)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    first = writer.stdout.readline()  # however long that takes here
    time.sleep(after_s)
    writer.kill()
    rest, _ = writer.communicate()
    lines = first + rest
    whole = lines[: lines.rfind("\n") + 1]  # the last line may be cut
    return [Receipt.parse(line) for line in whole.splitlines()]


async def test_a_second_writer_is_refused_and_appends_through_the_first(house: House) -> None:
    first = open_ledger(house.path, house.keys, clock_ms)
    server = LedgerServer(first, house.path)
    await server.start()
    with pytest.raises(WriterRunning):
        open_ledger(house.path, house.keys, clock_ms)
    second = await open_or_connect(house.path, house.keys, clock_ms)
    assert isinstance(second, RemoteLedger)
    receipts = await second.append([house.read(kind="consent.revoke")])
    assert first.consent_mark() == second.consent_mark() == 1
    second.close()
    await server.close()
    first.close()
    third = await open_or_connect(house.path, house.keys, clock_ms)
    assert not isinstance(third, RemoteLedger)
    third.close()
    check_everything(house, receipts)


async def test_a_restored_snapshot_is_refused(house: House, tmp_path: Path) -> None:
    await _append(house, 10)
    shutil.copy(house.path, tmp_path / "snapshot.db")
    await _append(house, 5)
    shutil.copy(tmp_path / "snapshot.db", house.path)
    with pytest.raises(VerificationFailed, match=r"rolled back: it has 10 entries, and a head of 15"):
        open_ledger(house.path, house.keys, clock_ms)


async def test_another_history_of_the_same_length_is_refused(house: House, tmp_path: Path) -> None:
    await _append(house, 3)
    shutil.copy(house.path, tmp_path / "snapshot.db")
    outside = house.keys.checkpoint_path.read_bytes()
    await _append(house, 4)
    branch = house.keys.checkpoint_path.read_bytes()
    shutil.copy(tmp_path / "snapshot.db", house.path)
    house.keys.checkpoint_path.write_bytes(outside)
    await _append(house, 6)
    house.keys.checkpoint_path.write_bytes(branch)
    with pytest.raises(VerificationFailed, match=r"rewritten: its first 7 entries"):
        open_ledger(house.path, house.keys, clock_ms)


async def test_a_crash_before_the_outside_copy_is_made_good(house: House) -> None:
    before = house.keys.checkpoint_path.read_bytes()
    await _append(house, 3)
    after = house.keys.checkpoint_path.read_bytes()
    house.keys.checkpoint_path.write_bytes(before)
    open_ledger(house.path, house.keys, clock_ms).close()
    assert house.keys.checkpoint_path.read_bytes() == after != before


async def test_without_the_outside_checkpoint_or_the_database_nothing_starts(house: House) -> None:
    await _append(house, 1)
    kept = house.keys.checkpoint_path.read_bytes()
    house.keys.checkpoint_path.unlink()
    with pytest.raises(VerificationFailed, match="missing"):
        open_ledger(house.path, house.keys, clock_ms)
    house.keys.checkpoint_path.write_bytes(kept)
    house.path.unlink()
    with pytest.raises(VerificationFailed, match="gone"):
        open_ledger(house.path, house.keys, clock_ms)
    with pytest.raises(ConfigError, match="already"):
        create_ledger(house.path, house.keys)


async def test_a_checkpoint_by_another_key_is_refused(house: House, tmp_path: Path) -> None:
    other = init_keys(tmp_path / "other", house.keys.origin)
    create_ledger(tmp_path / "other.db", other)
    house.keys.checkpoint_path.write_bytes(other.checkpoint_path.read_bytes())
    with pytest.raises(VerificationFailed, match="signature"):
        open_ledger(house.path, house.keys, clock_ms)


def test_creating_is_finished_by_calling_it_again(tmp_path: Path) -> None:
    keys = init_keys(tmp_path / "keys", "a.example/log")
    with pytest.raises(ConfigError, match="keys init"):
        open_ledger(tmp_path / "ledger.db", keys, clock_ms)
    create_ledger(tmp_path / "ledger.db", keys)
    keys.checkpoint_path.unlink()
    create_ledger(tmp_path / "ledger.db", keys)
    open_ledger(tmp_path / "ledger.db", keys, clock_ms).close()


Edit = Callable[[sqlite3.Connection], object]
_FLIP = "UPDATE {0} SET {1} = CAST(substr({1},1,9)||x'00'||substr({1},11) AS BLOB) WHERE {2}"
EDITS: dict[str, tuple[tuple[str, ...], str]] = {
    "a leaf's byte": ((_FLIP.format("entry", "leaf", "idx = 5"),), "entry 5"),
    "a leaf's byte at the edge": ((_FLIP.format("entry", "leaf", "idx = 299"),), "entry 299"),
    "a full tile's byte": ((_FLIP.format("tile", "data", "level = 0 AND n = 0"),), "entry 0: its hash"),
    "an upper tile's byte": ((_FLIP.format("tile", "data", "level = 1"),), "tile/1/000"),
    "the head's root": ((_FLIP.format("head", "root", "1"),), "root|head"),
    "the frontier": ((_FLIP.format("head", "frontier", "1"),), "frontier|head"),
    "a cut tail": (("DELETE FROM entry WHERE idx >= 290",), "entry 290"),
    "a cut tail and head": (
        ("DELETE FROM entry WHERE idx >= 290", "UPDATE head SET size = 290"),
        "300 entries were published|300",
    ),
    "a gap": (("DELETE FROM entry WHERE idx = 7",), "entry 7: missing"),
    "an entry beyond the head": (
        ("INSERT INTO entry SELECT 300, kind, at_s, nonce, leaf FROM entry WHERE idx = 1",),
        "entry 300",
    ),
    "swapped rows": (
        (
            "UPDATE entry SET idx = -1 WHERE idx = 3",
            "UPDATE entry SET idx = 3 WHERE idx = 4",
            "UPDATE entry SET idx = 4 WHERE idx = -1",
        ),
        "entry 3",
    ),
    "a kind beside its leaf": (
        ("UPDATE entry SET kind = 'read.deny' WHERE idx = 9",),
        "entry 9: its columns",
    ),
    "a lost sidecar": (("DELETE FROM sidecar WHERE idx = 11",), "entry 11: its sidecar"),
    "a lost tile": (("DELETE FROM tile WHERE level = 0 AND n = 0",), "tile/0/000: missing"),
    "a lost checkpoint": (("DELETE FROM checkpoint WHERE size > 0",), "^$"),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_is_named_by_its_place(house: House, edit: str) -> None:
    await _append(house, 300)
    statements, place = EDITS[edit]
    database = sqlite3.connect(house.path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    reader = SqliteReader(house.path)
    try:
        if edit == "a lost checkpoint":
            verified = verify_store(reader, house.public)
            assert (verified.size, verified.published) == (300, 0)  # a shorter claim, of which all is true
            saved = house.keys.checkpoint_path.read_bytes()
            assert verify_store(reader, house.public, saved_heads=[saved]).size == 300
        else:
            with pytest.raises(VerificationFailed, match=place):
                verify_store(reader, house.public)
    finally:
        reader.close()


SEEN_AT_THE_START = (
    "a leaf's byte at the edge",
    "the head's root",
    "the frontier",
    "a cut tail",
    "a cut tail and head",
    "an entry beyond the head",
    "a lost checkpoint",
)


@pytest.mark.parametrize("edit", SEEN_AT_THE_START)
async def test_a_start_refuses_what_it_can_see_at_the_edge(house: House, edit: str) -> None:
    await _append(house, 300)
    database = sqlite3.connect(house.path)
    for statement in EDITS[edit][0]:
        database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(VerificationFailed):
        open_ledger(house.path, house.keys, clock_ms)


STARTS: dict[str, tuple[str, str]] = {
    "no checkpoint": ("DELETE FROM checkpoint", "The database has no checkpoint, the key folder has one"),
    "the last checkpoint lost": (
        "DELETE FROM checkpoint WHERE size > 0",
        "lacks the published checkpoint of 300 entries",
    ),
    "a checkpoint that is none": (
        "UPDATE checkpoint SET note = x'00' WHERE size = 300",
        "The last checkpoint of the database does not hold",
    ),
    "a tile of the edge lost": ("DELETE FROM tile WHERE level = 0 AND n = 1", "tile/0/001.p/44: missing"),
    "a tile of the edge cut": (
        "UPDATE tile SET data = CAST(substr(data, 1, 1376) AS BLOB) WHERE level = 0 AND n = 1",
        "tile/0/001.p/44: 1408 bytes belong there, not 1376",
    ),
    "an upper tile of the edge lost": ("DELETE FROM tile WHERE level = 1", "tile 1/0 is missing or cut"),
    "an upper tile of the edge cut": (
        "UPDATE tile SET data = CAST(substr(data, 1, 31) AS BLOB) WHERE level = 1",
        "tile 1/0 is missing or cut",
    ),
    "an upper tile of the edge changed": (
        _FLIP.format("tile", "data", "level = 1"),
        "tiles at the right edge",
    ),
    "the frontier": (_FLIP.format("head", "frontier", "1"), "tiles at the right edge"),
}


@pytest.mark.parametrize("edit", STARTS)
async def test_a_start_names_what_it_refuses_and_leaves_it_as_it_is(house: House, edit: str) -> None:
    await _append(house, 300)
    open_ledger(house.path, house.keys, clock_ms).close()
    statement, named = STARTS[edit]
    with sqlite3.connect(house.path) as database:
        database.execute(statement)
    database.close()
    before, outside = _dump(house.path), house.keys.checkpoint_path.read_bytes()
    for _ in range(2):
        with pytest.raises(VerificationFailed, match=re.escape(named)):
            open_ledger(house.path, house.keys, clock_ms)
    assert (_dump(house.path), house.keys.checkpoint_path.read_bytes()) == (before, outside)


def _dump(path: Path) -> list[str]:
    database = sqlite3.connect(path)
    try:
        return [*database.iterdump()]
    finally:
        database.close()


OUTSIDE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "not text": lambda whole: b"\xff" * 100,
    "cut": lambda whole: whole[:-20],
    "unsigned": lambda whole: whole[: whole.index(b"\n\n") + 2],
    "of more entries": lambda whole: whole.replace(b"\n3\n", b"\n4\n", 1),
    "of another log": lambda whole: whole.replace(b"hospital", b"hospitel"),
}


@pytest.mark.parametrize("damage", OUTSIDE)
async def test_an_outside_checkpoint_that_does_not_fit_stops_the_start(house: House, damage: str) -> None:
    await _append(house, 3)
    sound = house.keys.checkpoint_path.read_bytes()
    damaged = OUTSIDE[damage](sound)
    assert damaged != sound
    house.keys.checkpoint_path.write_bytes(damaged)
    with pytest.raises(VerificationFailed, match=r"keys/checkpoint does not hold: .* Put it back"):
        open_ledger(house.path, house.keys, clock_ms)
    assert house.keys.checkpoint_path.read_bytes() == damaged
    house.keys.checkpoint_path.write_bytes(sound)
    open_ledger(house.path, house.keys, clock_ms).close()


async def test_an_outside_checkpoint_that_cannot_be_read_is_named(house: House) -> None:
    await _append(house, 1)
    house.keys.checkpoint_path.unlink()
    house.keys.checkpoint_path.mkdir()
    with pytest.raises(ConfigError, match=r"keys/checkpoint cannot be read: Is a directory"):
        open_ledger(house.path, house.keys, clock_ms)


@pytest.mark.parametrize("name", ["log.vkey", "gateway.vkey", "log.key", "kek.key"])
async def test_a_key_that_cannot_be_read_is_named(house: House, name: str) -> None:
    path = house.keys.folder / name
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=rf"keys/{name} cannot be used: Is a directory; .*keys init"):
        load_keys(house.keys.folder)


async def _append(house: House, count: int) -> None:
    ledger = open_ledger(house.path, house.keys, clock_ms)
    await ledger.append([house.read(f"pat-{i % 3}") for i in range(count)])
    ledger.close()
