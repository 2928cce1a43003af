"""The embedded ledger: made by `create_ledger`, opened by `open_ledger`, appended to by `Ledger`.

One process opens it for writing; others read the file and append over its socket (`remote`). An entry
is durable when `append` returns. Opening never makes a new log: a lost database must not look like a
fresh start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.errors import ConfigError, VerificationFailed
from gateway.ledger.durable import replace
from gateway.ledger.keys import KeyRing
from gateway.ledger.publisher import Published, Publisher, sign_head
from gateway.ledger.reading import LedgerView, Receipt
from gateway.ledger.recovery import check_start
from gateway.ledger.sequencer import Sequencer
from gateway.ledger.sqlite import SqliteWriter
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.store import Appender, Head, SealedEntry, StoreReader
from gateway.ledger.under_way import UnderWay

ClockMs = Callable[[], int]
"""Milliseconds since the epoch."""


class Ledger(LedgerView):
    """The writer's ledger. Its own commits are visible here before `append` returns.

    Who serves requests adds a source to `under_way`, so that those that arrive together share a commit.
    """

    def __init__(
        self, reader: StoreReader, appender: Appender, publisher: Publisher, clock_ms: ClockMs
    ) -> None:
        self._appender = appender
        self.under_way = UnderWay()
        self._sequencer = Sequencer(appender, publisher, clock_ms, self.under_way)
        super().__init__(publisher.origin, reader)
        self._sequencer.start()

    async def append(self, batch: Sequence[SealedEntry]) -> list[Receipt]:
        """A receipt for each entry, once all are durable; they stay together and in order.

        Raises LedgerUnavailable when they may not be durable: release nothing. The same entries may
        be appended again, and keep their indexes if they were durable after all.
        """
        indexes = await self._sequencer.submit(batch)
        return receipts(self.origin, batch, indexes)

    def head(self) -> Head:
        return self._sequencer.head

    def consent_mark(self) -> int:
        return self._sequencer.head.mark

    def checkpoint(self) -> bytes:
        return self._sequencer.publisher.last.note

    def close(self) -> None:
        """Commit what waits, publish the last head, give the lock back."""
        self._sequencer.close()
        super().close()
        self._appender.close()


def receipts(origin: str, batch: Sequence[SealedEntry], indexes: Sequence[int]) -> list[Receipt]:
    """One receipt per entry, in the order of `batch`."""
    return [Receipt(origin, i, entry.leaf_hash) for i, entry in zip(indexes, batch, strict=True)]


def create_ledger(path: Path, keys: KeyRing) -> None:
    """Make the empty ledger of `keys` at `path`, with its first checkpoint, of size 0.

    Raises ConfigError if these keys have a ledger, or a ledger with entries is at `path`. After a
    crash in between it is simply called again.
    """
    if keys.checkpoint_path.exists():
        raise ConfigError(
            f"The keys in {keys.folder} belong to a ledger already; make new keys for a new one."
        )
    writer = SqliteWriter(path, create=not _exists(path))
    try:
        head = writer.head()
        if head.size:
            raise ConfigError(f"There is a ledger with entries at {path}.")
        # Commit point: the row first, then the copy outside. A crash before the copy leaves an empty
        # ledger that cannot be opened; calling this again finishes it.
        note = sign_head(keys.log, head)
        writer.publish(0, note)
        replace(keys.checkpoint_path, note, 0o644)
    finally:
        writer.close()


def open_ledger(path: Path, keys: KeyRing, clock_ms: ClockMs) -> Ledger:
    """Open the ledger for writing.

    Raises WriterRunning if another process has it, ConfigError if there is none, VerificationFailed
    naming the place if its parts do not agree or it was rolled back.
    """
    if not _exists(path):
        raise _no_ledger(path, keys)
    writer = SqliteWriter(path)
    try:
        reader = SqliteReader(path)
        try:
            last = check_start(reader, keys.log.verifier, keys.checkpoint_path)
            _renew_outside(keys, last)
            publisher = Publisher(keys.log, writer, keys.checkpoint_path, last)
            return Ledger(reader, writer, publisher, clock_ms)
        except BaseException:
            reader.close()
            raise
    except BaseException:
        writer.close()
        raise


def _exists(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _no_ledger(path: Path, keys: KeyRing) -> Exception:
    if keys.checkpoint_path.exists():
        return VerificationFailed(
            f"The ledger {path} is gone, but heads of it were published. Restore it, from a node for example."
        )
    return ConfigError(f"There is no ledger at {path}; run `consentry keys init` to make keys and ledger.")


def _renew_outside(keys: KeyRing, last: Published) -> None:
    if keys.checkpoint_path.read_bytes() != last.note:
        replace(keys.checkpoint_path, last.note, 0o644)
