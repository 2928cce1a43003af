"""The connections to one upstream: some at rest, the others each with one question, never more than a limit.

What stays true: who has to wait is served in the order of coming. A connection rests here only after a
whole answer, and is not asked again if anything came on it since. A question is asked twice only if a
connection that had rested turns out to be closed, before the first byte of an answer.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, NamedTuple

from gateway import errors
from gateway.upstream.answer import Answer
from gateway.upstream.connection import Connection, Unanswered

LONGEST_REST_S: Final = 30.0
BETWEEN_SWEEPS_S: Final = 5.0


class Address(NamedTuple):
    """Where a server is. With `tls` its certificate must be good for `host`."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class Pool:
    """Made in a running event loop; to be closed in it."""

    def __init__(self, address: Address, limit: int) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        # Who holds a slot may have one connection. A new one is made only if none rests, or for one that
        # was closed, so that there are never more connections than slots.
        self._slots = asyncio.Semaphore(limit)
        self._resting: list[Connection] = []  # the last one to come is the first to go
        self._open: set[Connection] = set()
        self._closed = False
        self._sweeper = self._loop.call_later(BETWEEN_SWEEPS_S, self._sweep)

    async def ask(self, request: bytes, max_bytes: int, timeout_s: float) -> Answer:
        """The whole answer; the time counts from now, whatever it goes to. `request` must be safe to repeat.

        Raises:
            TimeoutError: not in time.
            OSError: no connection.
            Cause: no answer, or none that is acceptable; see `Connection.ask`.
        """
        deadline = self._loop.time() + timeout_s
        if self._slots.locked():
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        else:
            await self._slots.acquire()
        try:
            return await self._ask(request, max_bytes, deadline)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Questions under way fail. Returns when every socket is closed."""
        self._closed = True
        self._sweeper.cancel()
        for connection in tuple(self._open):
            connection.close()
            await connection.wait_closed()

    async def _ask(self, request: bytes, max_bytes: int, deadline: float) -> Answer:
        connection = self._rested()
        if connection is not None:
            try:
                return self._put_to_rest(connection, await connection.ask(request, max_bytes, deadline))
            except Unanswered:
                pass  # the server closed it while the request was on its way
        connection = await self._connect(deadline)
        return self._put_to_rest(connection, await connection.ask(request, max_bytes, deadline))

    def _rested(self) -> Connection | None:
        while self._resting:
            connection = self._resting.pop()
            if connection.is_ready():
                return connection
            connection.close()
        return None

    def _put_to_rest(self, connection: Connection, answer: Answer) -> Answer:
        if connection.is_open():
            connection.rests_since = self._loop.time()
            self._resting.append(connection)
        return answer

    async def _connect(self, deadline: float) -> Connection:
        host, port, tls = self._address
        self._check_open()
        connection = Connection(self._open)
        try:
            async with asyncio.timeout_at(deadline):
                await self._loop.create_connection(lambda: connection, host, port, ssl=tls)
            self._check_open()
        except BaseException:
            connection.close()
            self._open.discard(connection)  # uvloop tells no end to what was cancelled while it was made
            raise
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise errors.Cause("the gateway is being shut down")

    def _sweep(self) -> None:
        """Closes those that rested too long: servers close them too, and a firewall forgets them."""
        latest = self._loop.time() - LONGEST_REST_S
        for connection in self._resting:
            if connection.rests_since < latest:
                connection.close()
        self._resting = [connection for connection in self._resting if connection.is_open()]
        self._sweeper = self._loop.call_later(BETWEEN_SWEEPS_S, self._sweep)
