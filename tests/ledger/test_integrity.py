"""What lies beside the leaves is held to them: before a replay, at a start, and by `verify`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from gateway.errors import VerificationFailed
from gateway.ledger.integrity import (
    check_checkpoints,
    check_pages,
    check_rows,
    check_schema,
    check_tree,
    held_to_tiles,
)
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.ledger.publisher import sign_head
from gateway.ledger.recorder import LedgerReader
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.store import STATE_KINDS, Head
from gateway.ledger.verify import verify_store
from tests.ledger.support import House, clock_ms

GRANTS = frozenset({"consent.grant", "consent.revoke"})
REVOKED = 300


@pytest.fixture
async def filled(house: House) -> AsyncIterator[Ledger]:
    ledger = await _filled(house)
    yield ledger
    ledger.close()


@pytest.fixture
async def at_rest(house: House) -> House:
    (await _filled(house)).close()
    return house


async def _filled(house: House) -> Ledger:
    """300 reads, published now and then, then a withdrawal and the issue of a token."""
    ledger = open_ledger(house.path, house.keys, clock_ms)
    for _ in range(3):
        await ledger.append([house.read(f"pat-{i % 3}") for i in range(100)])
        await ledger.proof(ledger.head().size - 1)
    await ledger.append([house.read(kind="consent.revoke"), house.read(kind="token.issue")])
    await ledger.proof(REVOKED + 1)
    return ledger


async def test_a_sound_ledger_passes_every_check(house: House, filled: Ledger) -> None:
    reader, head = filled.reader, filled.reader.head()
    check_schema(reader)
    check_pages(reader)
    check_tree(reader, head)
    for start in (0, 1, REVOKED, REVOKED + 1, REVOKED + 2):
        rows = check_rows(reader, start)
        assert [index for index, _ in rows.state] == [i for i in (REVOKED, REVOKED + 1) if i >= start]
    assert check_checkpoints(reader, house.keys.log.verifier, head.size) >= 4
    assert [e.index for e in held_to_tiles(reader, reader.entries_of(STATE_KINDS, -1))] == [300, 301]
    verified = verify_store(reader, house.public, opener=LedgerReader(reader, house.vault))
    assert verified.sidecars_checked
    assert not verify_store(reader, house.public).sidecars_checked


ROWS = {
    "kind hidden": ("UPDATE entry SET kind = 'read.deny' WHERE idx = 300", "^entry 300: its columns"),
    "kind as bytes": (
        "UPDATE entry SET kind = x'726561642e7065726d6974' WHERE idx = 7",
        "^entry 7: its columns",
    ),
    "kind that continues": (
        'UPDATE entry SET kind = \'read.permit","ts":1\' WHERE idx = 7',
        "^entry 7: its columns",
    ),
    "mark too high": ("UPDATE head SET mark = 1000000000", "^head: its mark is 1000000000"),
    "mark of a token": ("UPDATE head SET mark = 302", "^head: its mark is 302, and the entries say 301"),
    "no mark": ("UPDATE head SET mark = 0", "^head: its mark is 0"),
    "row below": (
        "INSERT INTO entry SELECT -1, kind, at_s, nonce, leaf FROM entry WHERE idx = 5",
        "^entry 0 and on: 302 entries belong there, not 303",
    ),
    "row above": (
        "INSERT INTO entry SELECT 302, kind, at_s, nonce, leaf FROM entry WHERE idx = 5",
        "^entry 302: the head does not cover it",
    ),
    "row away": ("DELETE FROM entry WHERE idx = 5", "^entry 0 and on: 302 entries belong there, not 301"),
}


@pytest.mark.parametrize("damage", ROWS)
async def test_a_row_that_is_not_its_leaf_is_named(house: House, filled: Ledger, damage: str) -> None:
    statement, says = ROWS[damage]
    _execute(house.path, statement)
    with pytest.raises(VerificationFailed, match=says):
        check_rows(filled.reader)
    with pytest.raises(VerificationFailed, match=says):
        filled.entries_of(GRANTS, -1)


async def test_a_running_reader_looks_at_what_is_new_before_it_believes_it(
    house: House, filled: Ledger
) -> None:
    assert [entry.index for entry in filled.entries_of(GRANTS, -1)] == [REVOKED]
    _execute(house.path, "UPDATE entry SET kind = 'read.deny' WHERE idx = 7")  # looked at before
    await filled.append([house.read(kind="consent.revoke"), house.read()])
    assert [entry.index for entry in filled.entries_of(GRANTS, REVOKED)] == [302]
    await filled.append([house.read(kind="consent.revoke")])
    _execute(house.path, "UPDATE entry SET kind = 'read.permit' WHERE idx = 304")
    for _ in range(2):
        with pytest.raises(VerificationFailed, match=r"^entry 304: its columns"):
            filled.entries_of(GRANTS, 302)


async def test_a_leaf_that_is_not_in_its_tile_is_not_given(house: House, filled: Ledger) -> None:
    _execute(house.path, "UPDATE entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE idx = 300")
    with pytest.raises(VerificationFailed, match=r"^entry 300: its hash is not the one in its tile"):
        list(filled.entries_of(GRANTS, -1))


TREE: dict[str, tuple[str, str]] = {
    "leaf": (
        "UPDATE entry SET leaf = x'00' WHERE idx = 20",
        r"^entry 20: its hash is not the one in tile/0/000$",
    ),
    "leaf at the edge": ("UPDATE entry SET leaf = x'00' WHERE idx = 301", "^entry 301: its hash"),
    "gap": ("DELETE FROM entry WHERE idx = 20", "^entry 20: its hash|^entry 20: missing"),
    "tail": ("DELETE FROM entry WHERE idx = 301", "^entry 301: missing"),
    "tile": ("DELETE FROM tile WHERE level = 0 AND n = 0", "^tile/0/000: missing"),
    "longer edge": (
        "UPDATE tile SET data = CAST(data || zeroblob(32) AS BLOB) WHERE level = 0 AND n = 1",
        r"^tile/0/001.p/46: 1472 bytes belong there, not 1504",
    ),
    "shorter head": ("UPDATE head SET size = 301", r"^tile/0/001.p/45: 1440 bytes belong there, not 1472"),
    "root": ("UPDATE head SET root = zeroblob(32)", "^head: the entries do not lead to its root"),
}


@pytest.mark.parametrize("damage", TREE)
async def test_a_tree_that_does_not_follow_is_named(house: House, filled: Ledger, damage: str) -> None:
    statement, says = TREE[damage]
    _execute(house.path, statement)
    with pytest.raises(VerificationFailed, match=says):
        check_tree(filled.reader, filled.reader.head())


CHECKPOINTS: dict[str, tuple[Callable[[House, Head], bytes], str]] = {
    "another root": (
        lambda house, head: sign_head(house.keys.log, replace(head, size=200, root=bytes(32))),
        "^checkpoint of size 200: the entries do not lead to its root",
    ),
    "another size": (
        lambda house, head: sign_head(house.keys.log, head),
        "^checkpoint of size 200: it is of size 302",
    ),
    "another key": (
        lambda house, head: sign_head(house.keys.gateway, replace(head, size=200)),
        "^checkpoint of size 200: ",
    ),
    "nothing": (lambda house, head: b"", "^checkpoint of size 200: "),
}


@pytest.mark.parametrize("wrong", CHECKPOINTS)
async def test_every_checkpoint_is_looked_at(house: House, filled: Ledger, wrong: str) -> None:
    note, says = CHECKPOINTS[wrong]
    _execute(house.path, "UPDATE checkpoint SET note = ? WHERE size = 200", note(house, filled.reader.head()))
    with pytest.raises(VerificationFailed, match=says):
        check_checkpoints(filled.reader, house.keys.log.verifier, 302)
    with pytest.raises(VerificationFailed, match=says):
        verify_store(filled.reader, house.public)


async def test_a_checkpoint_beyond_the_head_that_was_read_is_one_of_its_size(
    house: House, filled: Ledger
) -> None:
    """A writer at work publishes while the entries are verified; roots are compared up to the head."""
    log = house.keys.log
    assert 2 <= check_checkpoints(filled.reader, log.verifier, 199) < 4
    note = sign_head(log, replace(filled.reader.head(), size=999, root=bytes(32)))
    _execute(house.path, "INSERT INTO checkpoint VALUES (999, ?)", note)
    assert check_checkpoints(filled.reader, log.verifier, 302) >= 4
    _execute(house.path, "UPDATE checkpoint SET size = 998 WHERE size = 999")
    with pytest.raises(VerificationFailed, match=r"^checkpoint of size 998: it is of size 999"):
        check_checkpoints(filled.reader, log.verifier, 302)


async def test_the_last_checkpoint_is_under_its_own_size(house: House, filled: Ledger) -> None:
    last = "(SELECT max(size) FROM checkpoint)"
    for moved in (303, -1):
        _execute(house.path, f"UPDATE checkpoint SET size = {moved} WHERE size = {last}")
        with pytest.raises(VerificationFailed, match=f"^checkpoint of size {moved}: it is of size "):
            verify_store(filled.reader, house.public)


SIDECARS = {
    "data": (
        "UPDATE sidecar SET data = zeroblob(600) WHERE idx = 44",
        "^entry 44: its sidecar is not the one",
    ),
    "cut": ("UPDATE sidecar SET data = x'00' WHERE idx = 44", "^entry 44: its sidecar is not the one"),
    "key id": (
        "UPDATE sidecar SET key_id = zeroblob(16) WHERE idx = 44",
        "^entry 44: its sidecar names a key",
    ),
    "another's": (
        "UPDATE sidecar SET (key_id, data) = (SELECT key_id, data FROM sidecar WHERE idx = 47)"
        " WHERE idx = 44",
        "^entry 44: its sidecar is not the one",
    ),
    "gone": ("DELETE FROM sidecar WHERE idx = 44", "^entry 44: its sidecar is missing"),
}


@pytest.mark.parametrize("damage", SIDECARS)
async def test_a_sidecar_that_is_not_the_recorded_one_is_named(
    house: House, filled: Ledger, damage: str
) -> None:
    statement, says = SIDECARS[damage]
    _execute(house.path, statement)
    with pytest.raises(VerificationFailed, match=says):
        verify_store(filled.reader, house.public, opener=LedgerReader(filled.reader, house.vault))


async def test_an_index_and_a_page_that_are_damaged_are_named(at_rest: House) -> None:
    [(page,)] = apsw.Connection(str(at_rest.path)).execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'entry_state'"
    )
    whole = at_rest.path.read_bytes()
    at = (page - 1) * 8192
    cell = at + int.from_bytes(whole[at + 8 : at + 10], "big")  # the first cell of the page: entry 300
    at_rest.path.write_bytes(whole[: cell + 3] + bytes([whole[cell + 3] ^ 1]) + whole[cell + 4 :])
    with closing(SqliteReader(at_rest.path)) as reader:
        with pytest.raises(VerificationFailed, match=r"^database: it is damaged: "):
            check_pages(reader)
        with pytest.raises(VerificationFailed, match=r"^entry \d+: the index of kinds"):
            check_rows(reader)
    at_rest.path.write_bytes(whole[:at] + bytes(8192) + whole[at + 8192 :])
    with (
        closing(SqliteReader(at_rest.path)) as reader,
        pytest.raises(VerificationFailed, match=r"^database:"),
    ):
        check_pages(reader)


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("CREATE TRIGGER quiet AFTER INSERT ON entry BEGIN SELECT 1; END", "trigger quiet"),
        ("CREATE VIEW more AS SELECT 1", "view more"),
        ("CREATE INDEX more ON entry(kind)", "index more"),
        ("DROP INDEX entry_state", "index entry_state"),
        ("ALTER TABLE entry ADD COLUMN more", "table entry"),
    ],
)
async def test_a_schema_that_is_not_a_ledgers_is_refused(at_rest: House, statement: str, part: str) -> None:
    _execute(at_rest.path, statement)
    with pytest.raises(VerificationFailed, match=f"^database: {part} is not as a ledger has it"):
        open_ledger(at_rest.path, at_rest.keys, clock_ms)


async def test_statistics_of_the_database_are_no_finding(at_rest: House) -> None:
    _execute(at_rest.path, "ANALYZE")
    open_ledger(at_rest.path, at_rest.keys, clock_ms).close()


def _execute(path: Path, statement: str, *values: bytes) -> None:
    """With the library that the ledger uses: a second one in this process would undo its locks."""
    with closing(apsw.Connection(str(path))) as db:
        db.set_busy_timeout(2000)
        db.execute(statement, values).fetchall()
