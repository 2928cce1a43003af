"""The sequencer: one thread that gives every entry its index, in groups, each one durable commit.

What waits while a commit syncs makes up the next group. When several more requests are under way, the
group waits for them, GATHER_S at most: a commit costs much, one entry more in it little. Otherwise the
disk alone sets the pace. A future is resolved only after its entries are durable; any failure fails
every waiter of the group, whose retry under the same nonces is safe. The same thread publishes
checkpoints between groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.errors import LedgerUnavailable
from gateway.ledger.publisher import Publisher
from gateway.ledger.store import Appender, Batch, Head
from gateway.ledger.under_way import Count

MAX_GROUP_ENTRIES = 4096
MAX_GROUP_BYTES = 1 << 20
PUBLISH_EVERY_S = 1.0
IDLE_AFTER_S = 0.25
GATHER_S = 0.001
WORTH_GATHERING = 4
"""Fewer requests under way than that, besides those that wait already, are not waited for."""
_NOT_GATHERING = sys.maxsize

log = logging.getLogger(__name__)
_Result = list[int] | Exception


class _Waiter(NamedTuple):
    batch: Batch
    size: int
    """Bytes of leaves and sidecars."""
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[int]]


class Sequencer:
    """Owns `appender` and `publisher` from `start` on. `clock_ms` is milliseconds since the epoch,
    `under_way` the number of requests that may be about to append or do so already.

    `head` is the last committed head; it is set before the futures of its entries resolve.
    """

    def __init__(
        self,
        appender: Appender,
        publisher: Publisher,
        clock_ms: Callable[[], int],
        under_way: Count = lambda: 0,
    ) -> None:
        self.head: Head = appender.head()
        self.publisher = publisher
        self._appender = appender
        self._clock_ms = clock_ms
        self._under_way = under_way
        self._waiting: queue.SimpleQueue[_Waiter | None] = queue.SimpleQueue()
        self._group: list[_Waiter] = []
        self._left_over: _Waiter | None = None
        self._wanted = _NOT_GATHERING
        self._enough = threading.Event()
        self._closing = self._ended = False
        self._publish_after_s = 0.0
        self._tidy = False
        self._thread = threading.Thread(target=self._run, name="ledger-sequencer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, batch: Batch) -> asyncio.Future[list[int]]:
        """The future indexes of `batch`, which stays together and in order.

        Fails with EntryRefused if an entry may not be appended, with LedgerUnavailable if the batch
        may not be durable. Called on a running event loop.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[int]] = loop.create_future()
        # Here and not in the thread, so that what is no batch fails for who sends it and for nobody else.
        size = sum([len(entry.leaf) + len(entry.sidecar) for entry in batch])
        if self._closing:
            future.set_exception(LedgerUnavailable("The ledger is closing; nothing was recorded."))
        else:
            self._waiting.put(_Waiter(batch, size, loop, future))
            if self._waiting.qsize() >= self._wanted:
                self._enough.set()
            if self._ended:
                self._turn_away()
        return future

    def close(self) -> None:
        """Commit what waits, publish the head, and end the thread. The appender is not closed."""
        self._closing = True
        self._waiting.put(None)
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (group := self._take()) is not None:
                if group:
                    self._commit(group)
                elif self._tidy:
                    self._housekeeping()
                self._publish_if_due()
            self._publish_after_s = 0.0
            self._publish_if_due()
        finally:  # whatever ended the thread, nobody waits for it for ever
            self._closing = self._ended = True
            # Of these, who has an answer keeps it. The others may be durable; the left over one is not.
            _resolve(self._group, [LedgerUnavailable()] * len(self._group))
            if self._left_over is not None:
                self._waiting.put(self._left_over)
            self._turn_away()

    def _turn_away(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                waiter = self._waiting.get_nowait()
                if waiter is not None:
                    _resolve([waiter], [LedgerUnavailable("The ledger is closed; nothing was recorded.")])

    def _take(self) -> list[_Waiter] | None:
        """All that waits, up to the limits; empty after a while of nothing; None at the end."""
        self._group = []
        first, self._left_over = self._left_over, None
        if first is not None:
            self._group.append(first)
        else:
            try:
                first = self._waiting.get(timeout=self._patience_s())
            except queue.Empty:
                return []
            if first is None:
                return None
            self._group.append(first)
            self._gather()
        self._fill(self._group)
        return self._group

    def _gather(self) -> None:
        """Let those under way come into the group of the one just taken, if they are worth the wait."""
        wanted = self._under_way() - 1
        if wanted - self._waiting.qsize() < WORTH_GATHERING:
            return
        self._enough.clear()
        self._wanted = min(wanted, MAX_GROUP_ENTRIES)
        # Who came before this line may not have seen it, and so did not say that it is enough.
        if self._waiting.qsize() < self._wanted and not self._closing:
            self._enough.wait(GATHER_S)
        self._wanted = _NOT_GATHERING

    def _fill(self, group: list[_Waiter]) -> None:
        entries, size = len(group[0].batch), group[0].size
        while entries < MAX_GROUP_ENTRIES and size < MAX_GROUP_BYTES:
            try:
                waiter = self._waiting.get_nowait()
            except queue.Empty:
                return
            if waiter is None:
                self._waiting.put(None)  # the end comes after this group
                return
            entries, size = entries + len(waiter.batch), size + waiter.size
            if entries > MAX_GROUP_ENTRIES or size > MAX_GROUP_BYTES:
                self._left_over = waiter
                return
            group.append(waiter)

    def _patience_s(self) -> float | None:
        return IDLE_AFTER_S if self._tidy or self._unpublished() else None

    def _commit(self, group: list[_Waiter]) -> None:
        # The nonces are random, so their order tells nothing of who came first or of which entries
        # belong to one patient.
        group.sort(key=lambda waiter: waiter.batch[0].nonce if waiter.batch else b"")
        results: list[_Result]
        try:
            committed = self._appender.append([waiter.batch for waiter in group], self._clock_ms() // 1000)
        except Exception as failed:  # whatever it was, nobody may take the group for durable
            log.exception("the ledger could not commit %d batches", len(group))
            results = [_not_recorded(failed)] * len(group)
            self._read_head_again()
        else:
            self.head = committed.head
            self._tidy = True
            results = list[_Result](committed.outcomes)
        _resolve(group, results)

    def _read_head_again(self) -> None:
        # The commit may have happened all the same. What it held is then found by nonce at the retry;
        # decisions must see it now.
        try:
            self.head = self._appender.head()
        except Exception:
            log.exception("the ledger's head cannot be read")

    def _housekeeping(self) -> None:
        self._tidy = False
        try:
            self._appender.idle()
        except Exception:
            log.exception("housekeeping of the ledger failed")

    def _unpublished(self) -> bool:
        return self.head.size > self.publisher.last.size

    def _publish_if_due(self) -> None:
        if not self._unpublished() or time.monotonic() < self._publish_after_s:
            return
        self._publish_after_s = time.monotonic() + PUBLISH_EVERY_S
        try:
            self.publisher.publish(self.head)
        except Exception:  # entries stay durable and provable; the next second tries again
            log.exception("the checkpoint of size %d could not be published", self.head.size)


def _not_recorded(failed: Exception) -> LedgerUnavailable:
    error = LedgerUnavailable()
    error.__cause__ = failed
    return error


def _resolve(group: list[_Waiter], results: list[_Result]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[list[int]], _Result]]] = {}
    for waiter, result in zip(group, results, strict=True):
        by_loop.setdefault(waiter.loop, []).append((waiter.future, result))
    for loop, pairs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_set_results, pairs)


def _set_results(pairs: list[tuple[asyncio.Future[list[int]], _Result]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
