"""The authorization server's own database: one SQLite file beside the ledger, WAL, synchronous FULL.

It holds what tokens are made from: clients, people, sessions, codes, refresh tokens. What was granted and
issued is told by the ledger, never by this file. Secrets are in it as SHA-256 only. Each operation is one
short transaction in a worker thread; what may be used once is claimed by one statement, so that it is used
once whichever process is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import Session, SQLModel, create_engine

from gateway.core.canon import sha256
from gateway.errors import StateUnavailable

T = TypeVar("T")

_PRAGMAS = (
    "busy_timeout=5000",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
)
_TRIES, _PAUSE_S = 100, 0.02


class Database:
    """The file `path`, with `tables`. Safe in several threads and processes."""

    def __init__(self, path: Path, tables: Sequence[type[SQLModel]]) -> None:
        """Makes the file and what tables it lacks. Raises StateUnavailable."""
        # The file has one writer at a time: waiting in line here is fair, and cheaper than at its lock.
        self._one_at_a_time = CapacityLimiter(1)
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._engine = _engine(path)
            _patiently(lambda: _make(self._engine, tables))
        except (SQLAlchemyError, OSError) as failed:
            raise StateUnavailable from failed

    async def run(self, work: Callable[[Session], T]) -> T:
        """What `work` makes of a session, after its changes are durable; none of them is if it raises.

        Raises what `work` raises, and StateUnavailable if the database cannot be used.
        """
        return await to_thread.run_sync(self.run_now, work, limiter=self._one_at_a_time)

    def run_now(self, work: Callable[[Session], T]) -> T:
        """As `run`, in this thread: for commands."""
        try:
            with Session(self._engine, expire_on_commit=False) as session:
                done = work(session)
                session.commit()
                return done
        except SQLAlchemyError as failed:
            raise StateUnavailable from failed

    def close(self) -> None:
        self._engine.dispose()


def digest_of(secret: str) -> bytes:
    """How a secret that we made (256 random bits) is kept and found: its SHA-256, 32 bytes."""
    return sha256(secret.encode())


def _make(engine: Engine, tables: Sequence[type[SQLModel]]) -> None:
    with engine.begin() as connection:
        for table in (SQLModel.metadata.tables[str(kind.__tablename__)] for kind in tables):
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))


def _patiently(work: Callable[[], None]) -> None:
    """Again, for a while, if the file is busy: SQLite does not wait where one that several processes open at
    the same time is put into WAL mode."""
    for _ in range(_TRIES):
        try:
            return work()
        except OperationalError as busy:
            if "locked" not in str(busy.orig):
                raise
        time.sleep(_PAUSE_S)
    work()


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, below
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A transaction that reads and then writes must not find that another wrote in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
