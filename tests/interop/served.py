"""A ledger behind its real addresses, on a real server, and the faults that are planted in one."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.ledger.keys import KeyRing
from gateway.ledger.ledger import Ledger
from gateway.ledger.reading import LedgerView, Receipt
from gateway.ledger.recorder import Recorder
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.store import SealedEntry
from gateway.ledger.vault import Vault
from gateway.web.ledger import ledger_routes
from tests.interop.outsider import LogKey, leaf
from tests.support.asgi import serve


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class House:
    """One ledger's files, and its keys."""

    path: Path
    keys: KeyRing
    vault: Vault

    @property
    def vkey(self) -> Path:
        return self.keys.folder / "log.vkey"

    def reads(self, count: int) -> list[SealedEntry]:
        """Entries of as many reads, of seven patients."""
        recorder = Recorder(self.vault, self.keys.gateway)
        return [
            recorder.seal("read.permit", {"cli": "app-1"}, f"pat-{i % 7}", clock_ms()) for i in range(count)
        ]

    async def append(self, ledger: Ledger, count: int) -> list[Receipt]:
        """As many reads, a hundred at a time; their receipts."""
        receipts: list[Receipt] = []
        while len(receipts) < count:
            receipts += await ledger.append(self.reads(min(100, count - len(receipts))))
        return receipts

    def copy_to(self, path: Path) -> Path:
        """The database as it is now, in a file that may be spoiled."""
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
        return path


@dataclass(frozen=True)
class Shown:
    """A log at `url`, which ends in `/ledger`."""

    url: str
    client: httpx.Client

    def get(self, path: str) -> bytes | None:
        reply = self.client.get(f"{self.url}/{path}")
        return None if reply.status_code == 404 else reply.raise_for_status().content

    def body(self, path: str) -> bytes:
        body = self.get(path)
        assert body is not None, path
        return body

    def head(self, key: LogKey, at_least: int) -> bytes:
        """The published checkpoint, once it covers `at_least` entries."""
        for _ in range(3000):
            note = self.body("checkpoint")
            if key.open(note).size >= at_least:
                return note
            time.sleep(0.01)
        raise AssertionError(f"no checkpoint came to cover {at_least} entries")


@contextmanager
def shown(ledger: LedgerView) -> Iterator[Shown]:
    """`ledger` below `/ledger`, under uvicorn on a free port."""
    app = Starlette(routes=[Mount("/ledger", routes=ledger_routes(ledger))])
    with serve(app, lifespan="off") as server, httpx.Client(trust_env=False, timeout=60) as client:
        yield Shown(f"{server.url}/ledger", client)


@contextmanager
def spoiled(house: House, path: Path, script: str) -> Iterator[LedgerView]:
    """The ledger's database copied to `path` and changed by `script`: SQL, and `flip(blob, n)` for a byte."""
    with closing(sqlite3.connect(house.copy_to(path), isolation_level=None)) as db:
        db.create_function("flip", 2, lambda data, n: data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :])
        db.executescript(script)
    with closing(LedgerView(house.keys.origin, SqliteReader(path))) as view:
        yield view


def opaque(count: int) -> list[SealedEntry]:
    """Entries made fast, of bytes that mean nothing; to a log client they are entries like others."""
    made = []
    for _ in range(count):
        nonce = secrets.token_bytes(16)
        made.append(
            SealedEntry(nonce, nonce, leaf(nonce), "read.permit", clock_ms() // 1000, bytes(16), b"-")
        )
    return made
