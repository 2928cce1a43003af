"""The load generator: keep-alive connections that each ask again as soon as they have the whole answer.

A closed loop, so what waits in line is bounded by the connections; the p99 compares runs and promises
nothing about a crowd that does not wait. Run as a process it reads an `Order` a line and answers with a
`Result` a line, both JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final, cast

import uvloop

from gateway.bench.figures import percentile

PATIENCE_S: Final = 30.0
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Order:
    """GET `target` on `connections` at once, for `seconds` after `warm_up_s`. Every answer has status 200,
    `length` bytes and the header `marked_by` (lower case), or the measurement fails."""

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
    """`answered` counts the measured time, `total` the warm-up too. Milliseconds from the request's first
    byte to the answer's last. `failed` says what was wrong with an answer; then nothing else counts."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    total: int
    failed: str = ""


class _Run:
    """What the connections of one order share."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.request = order.request()
        self.mark = b"\r\n" + order.marked_by.encode() + b":" if order.marked_by else b""
        self.begin = time.perf_counter() + order.warm_up_s
        self.end = self.begin + order.seconds
        self.times: list[float] = []
        self.total = 0
        self.failed = ""

    def answered(self, sent: float, now: float) -> None:
        self.total += 1
        if sent >= self.begin and now <= self.end:
            self.times.append(now - sent)

    def result(self) -> Result:
        if self.failed or not self.times:
            return Result(0, 0, 0, 0, self.total, self.failed or "no answer came in the measured time")
        return Result(
            len(self.times) / self.order.seconds,
            percentile(self.times, 50) * 1000,
            percentile(self.times, 99) * 1000,
            len(self.times),
            self.total,
        )


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, done: asyncio.Future[None]) -> None:
        self._run, self._done = run, done
        self._head = b""
        self._left = 0  # bytes of the body still to come; only once the head is whole
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
            if not self._good(head.lower()):
                self._finish(head.decode("latin-1").splitlines()[0])
                return
            self._head, self._left, data = b"", self._run.order.length, body
        self._left -= len(data)
        if self._left == 0:
            self._answered()
        elif self._left < 0:
            self._finish("more bytes than were announced")

    def connection_lost(self, error: Exception | None) -> None:
        self._finish("the connection was closed")

    def _good(self, head: bytes) -> bool:
        length = b"\r\ncontent-length: %d\r\n" % self._run.order.length
        return head.startswith(b"http/1.1 200 ") and length in head + b"\r\n" and self._run.mark in head

    def _answered(self) -> None:
        now = time.perf_counter()
        self._run.answered(self._sent, now)
        if now < self._run.end:
            self._ask()
        else:
            self._finish("")

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
