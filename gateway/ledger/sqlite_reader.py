"""Reading a ledger's SQLite file, from any process and beside the writer (WAL, `mode=ro`).

Each call sees one committed state. Long reads belong on a reader of their own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from gateway.core.tlog.tiles import split_hashes
from gateway.core.tlog.tree import HASH_BYTES
from gateway.errors import LedgerUnavailable
from gateway.ledger.sqlite_schema import STATE_FILTER, foreign_part
from gateway.ledger.store import STATE_KINDS, Head, Rows, StoredEntry, StoredSidecar

# The kind beside a leaf is text, and the one in it. A well-formed leaf has this in no other place.
_AS_IN_LEAF = """typeof(kind) = 'text' AND instr(leaf, CAST('","t":"' || kind || '","ts":' AS BLOB)) > 0"""
_COUNTED = f"""SELECT count(*), COALESCE(max(idx), -1), min(CASE WHEN {_AS_IN_LEAF} THEN NULL ELSE idx END)
    FROM entry NOT INDEXED WHERE idx >= :start"""  # noqa: S608
_STATE = f"""SELECT idx, kind FROM entry NOT INDEXED
    WHERE idx >= :start AND {STATE_FILTER} ORDER BY idx"""  # noqa: S608
_INDEXED = f"""SELECT idx FROM entry INDEXED BY entry_state
    WHERE idx >= :start AND {STATE_FILTER} ORDER BY idx"""  # noqa: S608
# Whatever somebody else wrote into such a column is read as bytes, and then verified as such.
_LEAF, _KEY_ID, _DATA, _NOTE, _ROOT, _FRONTIER = (
    f"COALESCE(CAST({column} AS BLOB), x'')"
    for column in ("leaf", "key_id", "data", "note", "root", "frontier")
)
_LOWEST = -(2**63)
_PAGE = 1000  # entries read at once while a caller walks through them


class SqliteReader:
    """The `StoreReader` of a SQLite file; usable from several threads, one at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        with named_failure():
            uri = f"file:{quote(str(path.absolute()))}?mode=ro"
            self._db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            self._db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
            self._db.set_busy_timeout(2000)

    def head(self) -> Head:
        with self._reading():
            return read_head(self._db)

    def mark(self) -> int:
        return int(self._rows("SELECT mark FROM head")[0][0])

    def tile(self, level: int, number: int) -> bytes | None:
        with self._reading():
            return read_tile(self._db, level, number)

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """The leaves start..stop-1 in order, fewer if the store has fewer or a gap."""
        query = f"SELECT idx, {_LEAF} FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx"  # noqa: S608
        rows = self._rows(query, start, stop)
        return [leaf for place, (index, leaf) in enumerate(rows, start) if index == place]

    def columns(self, start: int, stop: int) -> list[tuple[str, int, bytes, bool]]:
        rows = self._rows(
            "SELECT kind, at_s, nonce, sidecar.idx IS NOT NULL FROM entry LEFT JOIN sidecar USING (idx)"
            " WHERE entry.idx >= ? AND entry.idx < ? ORDER BY entry.idx",
            start,
            stop,
        )
        return [(kind, at_s, nonce, bool(has)) for kind, at_s, nonce, has in rows]

    def entry(self, index: int) -> StoredEntry | None:
        rows = self._rows(f"SELECT idx, kind, {_LEAF} FROM entry WHERE idx = ?", index)  # noqa: S608
        return StoredEntry(*rows[0]) if rows else None

    def entries_of(self, kinds: frozenset[str], after: int) -> Iterator[StoredEntry]:
        """Entries of `kinds` with an index above `after` (-1: all), in order; quick for STATE_KINDS."""
        known = STATE_FILTER if kinds <= STATE_KINDS else "TRUE"
        wanted = ", ".join("?" * len(kinds))
        query = f"SELECT idx, kind, {_LEAF} FROM entry WHERE {known} AND kind IN ({wanted})"  # noqa: S608
        while True:
            page = self._rows(f"{query} AND idx > ? ORDER BY idx LIMIT {_PAGE}", *sorted(kinds), after)
            for row in page:
                yield StoredEntry(*row)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def sidecar(self, index: int) -> StoredSidecar | None:
        rows = self._rows(f"SELECT {_KEY_ID}, {_DATA} FROM sidecar WHERE idx = ?", index)  # noqa: S608
        return StoredSidecar(*rows[0]) if rows else None

    def sidecars(self, start: int, stop: int) -> list[StoredSidecar | None]:
        query = f"SELECT idx, {_KEY_ID}, {_DATA} FROM sidecar WHERE idx >= ? AND idx < ?"  # noqa: S608
        found = {index: StoredSidecar(key_id, data) for index, key_id, data in self._rows(query, start, stop)}
        return [found.get(index) for index in range(start, stop)]

    def checkpoint(self) -> bytes | None:
        """The signed checkpoint of the largest published head."""
        rows = self._rows(f"SELECT {_NOTE} FROM checkpoint ORDER BY size DESC LIMIT 1")  # noqa: S608
        return rows[0][0] if rows else None

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """(size, note) of every published checkpoint, smallest first."""
        query = f"SELECT size, {_NOTE} FROM checkpoint WHERE size > ? ORDER BY size LIMIT {_PAGE}"  # noqa: S608
        after = _LOWEST
        while page := self._rows(query, after):
            yield from page
            after = page[-1][0]

    def rows(self, start: int) -> Rows:
        """About half a second for a million rows; from 0 on, rows below 0 are counted too."""
        values = {"start": start or _LOWEST}
        with self._reading(), self._db:
            head = read_head(self._db)
            [(count, last, misnamed)] = self._db.execute(_COUNTED, values)
            state: list[Any] = self._db.execute(_STATE, values).fetchall()
            indexed = [index for (index,) in self._db.execute(_INDEXED, values)]
        return Rows(head, start, count, last, misnamed, state, indexed)

    def foreign_part(self) -> str | None:
        with self._reading():
            return foreign_part(self._db)

    def damage(self) -> str | None:
        with self._reading():
            try:
                said = self._db.execute("PRAGMA integrity_check(1)").fetchall()
            except (apsw.CorruptError, apsw.NotADBError) as wrong:
                return str(wrong)
        return None if said == [("ok",)] else " ".join(str(said[0][0]).split())

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _rows(self, query: str, *values: apsw.SQLiteValue) -> list[tuple[Any, ...]]:
        with self._reading():
            return fetch(self._db, query, *values)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, named_failure():
            yield


def read_head(db: apsw.Connection) -> Head:
    rows = fetch(db, f"SELECT size, {_ROOT}, {_FRONTIER}, mark FROM head")  # noqa: S608
    if len(rows) != 1:
        raise LedgerUnavailable("The ledger has no head.")
    size, root, frontier, mark = rows[0]
    if type(size) is not int or type(mark) is not int or len(frontier) % HASH_BYTES:
        raise LedgerUnavailable("The head of the ledger is damaged.")
    return Head(size, root, tuple(split_hashes(frontier)), mark)


def read_tile(db: apsw.Connection, level: int, number: int) -> bytes | None:
    rows = fetch(db, f"SELECT {_DATA} FROM tile WHERE level = ? AND n = ?", level, number)  # noqa: S608
    return rows[0][0] if rows else None


def fetch(db: apsw.Connection, query: str, *values: apsw.SQLiteValue) -> list[tuple[Any, ...]]:
    """All rows. Their types are those of the schema, which nothing but `sqlite` writes."""
    return db.execute(query, values).fetchall()


@contextlib.contextmanager
def named_failure() -> Iterator[None]:
    """Turns what SQLite raises, also over text that is none, into LedgerUnavailable, in one place."""
    try:
        yield
    except (apsw.Error, OSError, UnicodeDecodeError) as failed:
        raise LedgerUnavailable("The ledger's database cannot be used.") from failed
