"""A ledger that another process writes: read from its file, appended to over the writer's socket.

The same promise as the writer's own `append`. A lost connection means "not recorded"; the batch is
sent once more, and its nonces see to it that nothing is appended twice.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path

from gateway.core.tlog.checkpoint import open_checkpoint
from gateway.errors import LedgerUnavailable, VerificationFailed
from gateway.ledger import wire
from gateway.ledger.keys import KeyRing
from gateway.ledger.ledger import ClockMs, Ledger, open_ledger, receipts
from gateway.ledger.reading import LedgerView, Receipt
from gateway.ledger.signing import verify_ed25519
from gateway.ledger.sqlite import WriterRunning
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.store import EntryRefused, SealedEntry
from gateway.ledger.under_way import UnderWay

ANSWER_WITHIN_S = 10.0
_TRIES = 2
# A writer that starts holds the lock a moment before it listens.
_STARTS_WITHIN_S = 5.0
_LOOK_AGAIN_S = 0.05


class RemoteLedger(LedgerView):
    """Appends to the ledger file `path` through its writer, which is told what is `under_way` here.

    `outside` is where the writer keeps the last published head. Belongs to one event loop.
    """

    def __init__(self, origin: str, path: Path, outside: Path) -> None:
        super().__init__(origin, SqliteReader(path))
        self.under_way = UnderWay()
        self._path = path
        self._outside = outside
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None

    async def append(self, batch: Sequence[SealedEntry]) -> list[Receipt]:
        """As `Ledger.append`."""
        lost: Exception | None = None
        for _ in range(_TRIES):
            try:
                connection = await self.connect()
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    return receipts(self.origin, batch, await connection.append(batch, self.under_way()))
            except (OSError, EOFError, TimeoutError) as failed:
                lost = failed
        raise LedgerUnavailable from lost

    async def connect(self) -> _Connection:
        """The connection in use, made if there is none. Raises OSError if no writer listens."""
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                address = wire.address_of(self._path)
                self._connection = _Connection(*await asyncio.open_unix_connection(str(address)))
            return self._connection

    def checkpoint(self) -> bytes:
        """The copy outside the database: before that is made nobody may see a head (`publisher`)."""
        try:
            return self._outside.read_bytes()
        except OSError as error:
            raise LedgerUnavailable from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        super().close()


class _Connection:
    """Many batches under way at once over one socket, told apart by their ids."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lost = False
        self._writer = writer
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[list[int]]] = {}
        self._listener = asyncio.create_task(self._listen(reader))

    async def append(self, batch: Sequence[SealedEntry], under_way: int) -> list[int]:
        """The indexes; raises EOFError when the connection is lost before the answer."""
        if self.lost:
            raise EOFError
        id_ = next(self._ids)
        answer: asyncio.Future[list[int]]
        answer = self._waiting[id_] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(wire.encode(wire.Append(id_, list(batch), under_way)))
            return await answer
        finally:
            del self._waiting[id_]

    def close(self) -> None:
        self.lost = True
        self._listener.cancel()
        self._writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                self._answer(await wire.read_answer(reader))
        except (EOFError, OSError, ValueError):
            pass  # the end, or not a writer's answer: either way nothing more is known
        finally:
            self.lost = True
            self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(EOFError())

    def _answer(self, answer: wire.Answer) -> None:
        waiting = self._waiting.get(answer.id)
        if waiting is None or waiting.done():
            return
        match answer:
            case wire.Appended(indexes=indexes):
                waiting.set_result(indexes)
            case wire.Failed(refused=refused, text=text):
                waiting.set_exception(EntryRefused(text) if refused else LedgerUnavailable(text))


async def open_or_connect(path: Path, keys: KeyRing, clock_ms: ClockMs) -> Ledger | RemoteLedger:
    """The ledger at `path`: written by this process if no other does, else through the one that does.

    Raises as `open_ledger`, VerificationFailed if the other process writes a log of other keys, and
    WriterRunning if it does not answer.
    """
    for _ in range(int(_STARTS_WITHIN_S / _LOOK_AGAIN_S)):
        try:
            return open_ledger(path, keys, clock_ms)
        except WriterRunning:
            remote = await _reach(path, keys)
            if remote is not None:
                return remote
        await asyncio.sleep(_LOOK_AGAIN_S)
    raise WriterRunning("Another process has the ledger open for writing but does not answer.")


async def _reach(path: Path, keys: KeyRing) -> RemoteLedger | None:
    remote = RemoteLedger(keys.origin, path, keys.checkpoint_path)
    try:
        open_checkpoint(remote.reader.checkpoint() or b"", [keys.log.verifier], verify_ed25519)
        await remote.connect()
    except OSError:
        remote.close()
        return None
    except (LedgerUnavailable, VerificationFailed):
        remote.close()
        raise
    return remote
