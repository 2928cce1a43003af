"""The embedded store: one SQLite file, WAL, synchronous=FULL, one writer and any number of readers.

A second writer would fork the history, so the writer holds `flock` on `<file>.lock` for as long as it
lives and moves the head by compare-and-swap all the same. The file may not lie on a network disk.
Nothing is ever updated but the head and the tiles at the right edge.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apsw

from gateway.core.tlog.tree import EMPTY_ROOT
from gateway.errors import LedgerUnavailable
from gateway.ledger.edge import RightEdge
from gateway.ledger.numbering import MAX_SKEW_S, REMEMBERED_S, RecentNonces, number
from gateway.ledger.sqlite_reader import fetch, named_failure, read_head, read_tile
from gateway.ledger.sqlite_schema import SCHEMA
from gateway.ledger.store import MARK_KINDS, Batch, Committed, Head, SealedEntry

T = TypeVar("T")

# Pages of write-ahead log after which a commit also moves them into the file, when there is no idle time.
WAL_PAGES = 1000
PAGE_BYTES = 8192  # some sidecars to a page
# Rows per INSERT: each statement lets other threads run once, so a group takes few of them.
_ROWS = (64, 8, 1)


class WriterRunning(LedgerUnavailable):
    """Another process writes this ledger; it is reached over its socket."""


class SqliteWriter:
    """The `Appender` of a SQLite file. Raises WriterRunning if there is one already."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._lock = _lock(path)
        self._state: _State | None = None
        try:
            with named_failure():
                self._db = _open(path, create)
        except BaseException:
            os.close(self._lock)
            raise

    def head(self) -> Head:
        with named_failure():
            return read_head(self._db)

    def append(self, batches: Sequence[Batch], now_s: int) -> Committed:
        with named_failure():
            state, self._state = self._state or self._load(), None
            state.recent.forget_before(now_s - REMEMBERED_S)
            with _transaction(self._db):
                start = state.edge.size
                outcomes, fresh = number(batches, start, now_s, state.recent, self._leaf)
                if fresh:
                    self._insert(state, fresh, start)
            # Commit point: all entries of the group, their tiles, sidecars and the head are durable, or
            # none is. A crash before it loses entries nobody was told of; the caller's retry appends them.
            self._state = state
            return Committed(outcomes, state.head())

    def publish(self, size: int, note: bytes) -> None:
        with named_failure():
            # Commit point: the promise to this head is durable before anyone can have seen it.
            self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (size, note))

    def idle(self) -> None:
        with named_failure():
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        try:
            self._db.close()
        finally:
            os.close(self._lock)  # gives the lock back

    def _load(self) -> _State:
        """What the database holds, after a start or a commit of unknown outcome."""
        head = read_head(self._db)
        edge = RightEdge.from_tiles(head.size, lambda level, n: read_tile(self._db, level, n))
        if edge.root() != head.root:
            raise LedgerUnavailable("The tiles of the ledger do not agree with its head.")
        recent = RecentNonces()
        newest = None
        for at_s, nonce, index in self._db.execute("SELECT at_s, nonce, idx FROM entry ORDER BY idx DESC"):
            newest = at_s if newest is None else newest
            if at_s < newest - REMEMBERED_S - 2 * MAX_SKEW_S:
                break
            recent.add(at_s, nonce, index)
        return _State(edge, head.mark, recent)

    def _leaf(self, index: int) -> bytes:
        leaf: bytes = fetch(self._db, "SELECT leaf FROM entry WHERE idx = ?", index)[0][0]
        return leaf

    def _insert(self, state: _State, fresh: Sequence[SealedEntry], start: int) -> None:
        tiles = state.edge.extend([entry.leaf_hash for entry in fresh])
        numbered = list(enumerate(fresh, start))
        state.mark = max([state.mark, *(i + 1 for i, e in numbered if e.kind in MARK_KINDS)])
        self._rows("INSERT INTO entry VALUES", [(i, e.kind, e.at_s, e.nonce, e.leaf) for i, e in numbered])
        self._rows("INSERT INTO sidecar VALUES", [(i, e.key_id, e.sidecar) for i, e in numbered])
        self._rows("REPLACE INTO tile VALUES", [(level, n, data) for (level, n), data in tiles.items()])
        head = state.head()
        moved = self._db.execute(
            "UPDATE head SET size = ?, root = ?, frontier = ?, mark = ? WHERE size = ? RETURNING 1",
            (head.size, head.root, b"".join(head.hashes), head.mark, start),
        ).fetchall()
        if not moved:
            raise LedgerUnavailable("The head of the ledger moved under its only writer.")

    def _rows(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        for chunk in _chunks(rows):
            row = f"({', '.join('?' * len(chunk[0]))})"
            values = [value for values in chunk for value in values]
            self._db.execute(f"{statement} {', '.join([row] * len(chunk))}", values)


@dataclass(slots=True)
class _State:
    """What the next group builds on. Changed while a commit is prepared, dropped if it fails."""

    edge: RightEdge
    mark: int
    recent: RecentNonces

    def head(self) -> Head:
        return Head(self.edge.size, self.edge.root(), self.edge.hashes, self.mark)


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    at = 0
    for size in _ROWS:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


@contextlib.contextmanager
def _transaction(db: apsw.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _lock(path: Path) -> int:
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as held:
        os.close(handle)
        raise WriterRunning("Another process writes this ledger.") from held
    return handle


def _open(path: Path, create: bool) -> apsw.Connection:
    if create:
        path.touch(mode=0o600)
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL").fetchall()
        db.execute(f"PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {WAL_PAGES}").fetchall()
        if create:
            # Commit point of a new ledger: the tables and the empty head, together.
            with _transaction(db):
                db.execute(SCHEMA)
                db.execute("INSERT INTO head VALUES (1, 0, ?, x'', 0)", (EMPTY_ROOT,))
        read_head(db)
    except BaseException:
        db.close()
        raise
    return db
