"""One byte of the database's file is changed, anywhere: `verify` finds it, or it is one that says nothing.

A page of the file has room that no row uses, and the file's header has fields that no answer depends on. A
change there is not found. Then every row of every table reads as before, and so does all that is shown of
the ledger.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import LedgerUnavailable, VerificationFailed
from gateway.ledger.ledger import open_ledger
from gateway.ledger.recorder import LedgerReader
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.store import STATE_KINDS
from gateway.ledger.verify import verify_store
from tests.ledger.support import House, clock_ms

HEADER_BYTES = 100
STEP = 97  # prime to the size of a page, so that the places differ from page to page


@pytest.fixture
async def at_rest(house: House) -> House:
    """All kinds of rows, in one file: the write-ahead log is gone when the last of its users is."""
    ledger = open_ledger(house.path, house.keys, clock_ms)
    for kind in ("consent.grant", "token.issue", "read.permit", "read.deny", "consent.revoke"):
        await ledger.append([house.read(kind=kind) for _ in range(3)])
        await ledger.proof(ledger.head().size - 1)
    ledger.close()
    assert not house.path.with_name("ledger.db-wal").exists()
    return house


async def test_a_flipped_byte_is_found_or_says_nothing(at_rest: House) -> None:
    path, whole = at_rest.path, at_rest.path.read_bytes()
    before, found, silent = _all_that_is_read(path), 0, 0
    for at in [*range(HEADER_BYTES), *range(HEADER_BYTES, len(whole), STEP)]:
        for bit in (1 << at % 8, 0xFF):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            if _is_found(at_rest):
                found += 1
            else:
                silent += 1
                assert _all_that_is_read(path) == before, f"byte {at}, ^ {bit:#x}"
    path.write_bytes(whole)
    assert not _is_found(at_rest)
    assert found > 500
    assert silent > 500


def _is_found(house: House) -> bool:
    try:
        with closing(SqliteReader(house.path)) as reader:
            verify_store(reader, house.public, opener=LedgerReader(reader, house.vault))
    except (VerificationFailed, LedgerUnavailable) as finding:
        return bool(str(finding))
    return False


def _all_that_is_read(path: Path) -> list[object]:
    """Every entry with its columns, sidecar, tile, head and checkpoint, and what a replay goes by."""
    with closing(SqliteReader(path)) as reader:
        head = reader.head()
        return [
            head,
            reader.leaves(0, head.size),
            reader.columns(0, head.size),
            reader.sidecars(0, head.size),
            reader.tile(0, 0),
            list(reader.checkpoints()),
            reader.rows(0),
            list(reader.entries_of(STATE_KINDS, -1)),
        ]
