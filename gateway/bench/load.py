"""The load generator: keep-alive connections that each ask again as soon as they have the whole answer.

A closed loop, so what waits in line is bounded by the connections; the p99 compares runs and promises
nothing about a crowd that does not wait. Run as a process it reads an `Order` a line and answers with a
`Result` a line, both JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final, cast

import uvloop

from gateway.bench.figures import percentile

PATIENCE_S: Final = 30.0
_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n")


@dataclass(frozen=True, slots=True)
class Order:
    """GET `target` on `connections` at once, for `seconds` after `warm_up_s`, and longer if need be, until
    each has one answer on average. Every answer is a 503, or a 200 with `length` bytes and the header
    `marked_by` (lower case; none if empty); or the measurement fails."""

    port: int
    target: str
    authorization: str
    connections: int
    seconds: float
    warm_up_s: float
    length: int
    marked_by: str

    def request(self) -> bytes:
        lines = [
            f"GET {self.target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Accept: application/fhir+json",
        ]
        if self.authorization:
            lines.append(f"Authorization: {self.authorization}")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Result:
    """Rate and times are those of the 200s; the times, in milliseconds, from the request's first byte to
    the answer's last. `refused` is the share of 503s. `total` counts the 200s of the warm-up too. `failed`
    says what was wrong with an answer; then nothing else counts."""

    per_second: float
    p50_ms: float
    p99_ms: float
    refused: float
    total: int
    failed: str = ""


class _Run:
    """What the connections of one order share."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.request = order.request()
        self.mark = b"\r\n" + order.marked_by.encode() + b":" if order.marked_by else b""
        self.begin = time.perf_counter() + order.warm_up_s
        self.last = self.begin
        self.times: list[float] = []
        self.refused = 0
        self.total = 0
        self.failed = ""

    @property
    def over(self) -> bool:
        enough = len(self.times) + self.refused >= self.order.connections
        return enough and self.last >= self.begin + self.order.seconds

    def answered(self, sent: float, now: float, *, refused: bool) -> None:
        self.total += not refused
        if now < self.begin or self.over:
            return
        self.last = now
        if refused:
            self.refused += 1
        else:
            self.times.append(now - sent)

    def result(self) -> Result:
        if self.failed or not self.times:
            return Result(0, 0, 0, 1, self.total, self.failed)
        return Result(
            len(self.times) / (self.last - self.begin),
            percentile(self.times, 50) * 1000,
            percentile(self.times, 99) * 1000,
            self.refused / (self.refused + len(self.times)),
            self.total,
        )


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, done: asyncio.Future[None]) -> None:
        self._run, self._done = run, done
        self._head = b""
        self._left = 0  # bytes of the body still to come; only once the head is whole
        self._refused = False
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, of the same kind
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._left == 0:
            self._head += data
            head, end, body = self._head.partition(_END)
            if not end:
                return
            length = self._length(head.lower() + b"\r\n")
            if length is None:
                self._finish(head.decode("latin-1").splitlines()[0])
                return
            self._head, self._left, data = b"", length, body
        self._left -= len(data)
        if self._left == 0:
            self._answered()
        elif self._left < 0:
            self._finish("more bytes than were announced")

    def connection_lost(self, error: Exception | None) -> None:
        self._finish("the connection was closed")

    def _length(self, head: bytes) -> int | None:
        """The length of the body below `head`; None if the answer is not one that is expected."""
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        self._refused = head.startswith(b"http/1.1 503 ")
        if self._refused:
            return length or None
        right = head.startswith(b"http/1.1 200 ") and self._run.mark in head
        return length if right and length == self._run.order.length else None

    def _answered(self) -> None:
        self._run.answered(self._sent, time.perf_counter(), refused=self._refused)
        if self._run.over:
            self._finish("")
        else:
            self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._run.request)

    def _finish(self, wrong: str) -> None:
        if not self._done.done():
            self._run.failed = self._run.failed or wrong
            self._done.set_result(None)
            assert self._transport is not None
            self._transport.close()


async def measure(order: Order) -> Result:
    """Carries out one order. Raises TimeoutError, OSError."""
    loop, run = asyncio.get_running_loop(), _Run(order)
    ends: list[asyncio.Future[None]] = [loop.create_future() for _ in range(order.connections)]
    async with asyncio.timeout(order.warm_up_s + order.seconds + PATIENCE_S):
        for end in ends:
            await loop.create_connection(partial(_Connection, run, end), "127.0.0.1", order.port)
        await asyncio.gather(*ends)
    return run.result()


def _serve() -> None:
    gc.freeze()
    for line in sys.stdin:
        result = uvloop.run(measure(Order(**json.loads(line))))
        print(json.dumps(asdict(result)), flush=True)  # noqa: T201 - to the process that started this one


if __name__ == "__main__":
    _serve()
