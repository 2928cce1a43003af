"""The DPoP proofs that were used: each passes once, whichever process of this gateway it is shown to.

A small SQLite file of its own, in WAL mode with synchronous=NORMAL: to remember a proof takes microseconds,
where a durable write would take the disk's own time at every read. A process that dies loses nothing; a
machine that loses power may forget the proofs of its last moments, which are refused by their age a little
later. Used by one thread.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import apsw

from gateway.core.smart.dpop import Proof
from gateway.errors import StateUnavailable

LINGER_S: Final = 60
"""How long one is remembered after its end: a process whose request began earlier has an earlier now."""

_TRIES, _PAUSE_S = 200, 0.01
_PRAGMAS: Final = ("busy_timeout=1000", "journal_mode=WAL", "synchronous=NORMAL")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS used_proof (digest BLOB PRIMARY KEY, until_s INT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS used_proof_until ON used_proof (until_s);
"""


class UsedProofs:
    """Those remembered in the file `path`, or without one in memory, for one process alone."""

    def __init__(self, path: Path | None = None) -> None:
        """Makes the file if it is not there. Raises StateUnavailable."""
        self._swept_s = 0
        try:
            if path is not None:
                path.touch(mode=0o600, exist_ok=True)
            self._db = _opened(":memory:" if path is None else str(path))
        except (apsw.Error, OSError) as failed:
            raise _unavailable() from failed

    def first_use(self, proof: Proof, now_s: int) -> bool:
        """Whether `proof` is shown for the first time; from now on it is used. Raises StateUnavailable."""
        try:
            if now_s > self._swept_s:
                self._db.execute("DELETE FROM used_proof WHERE until_s < ?", (now_s - LINGER_S,))
                self._swept_s = now_s
            remember = "INSERT INTO used_proof VALUES (?, ?) ON CONFLICT DO NOTHING"
            self._db.execute(remember, (proof.digest, proof.until_s))
            return self._db.changes() == 1
        except apsw.Error as failed:
            raise _unavailable() from failed

    def close(self) -> None:
        self._db.close()


def _opened(name: str) -> apsw.Connection:
    db = apsw.Connection(name)
    for left in reversed(range(_TRIES)):
        try:
            for pragma in _PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            db.execute(_SCHEMA)
            break
        except apsw.BusyError:
            # Processes that start together turn WAL on together, and for that SQLite waits for nobody.
            if left == 0:
                raise
            time.sleep(_PAUSE_S)
    return db


def _unavailable() -> StateUnavailable:
    return StateUnavailable("It cannot be told whether the proof is new.")
