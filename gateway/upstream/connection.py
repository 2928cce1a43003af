"""One HTTP/1.1 connection to an upstream: a request goes out, an `Answer` comes back, one at a time.

What stays true: whatever ends a question other than a whole answer (a refusal, the time, a cancelled task)
closes the connection, and so does any byte that nobody asked for. Whoever awaits an answer is given that
very answer: nothing on the connection is read later. It does not know what is asked, nor of other
connections.
"""

from __future__ import annotations

import asyncio
import select
from typing import cast

from gateway import errors
from gateway.upstream.answer import Answer


class Unanswered(errors.Cause):
    """The connection was closed before the first byte of an answer: the server may never have seen the
    request, as it happens with a connection that stayed open (RFC 9112, 9.3.1)."""


class Connection(asyncio.Protocol):
    """For `loop.create_connection`. It is in `open_ones` from when it is made until its socket is closed."""

    __slots__ = ("_answer", "_gone", "_loop", "_open_ones", "_poll", "_transport", "_waiter", "rests_since")

    def __init__(self, open_ones: set[Connection]) -> None:
        self._open_ones = open_ones
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._poll = select.poll()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._answer: Answer | None = None
        self.rests_since = 0.0  # of the loop's clock

    async def ask(self, request: bytes, max_bytes: int, deadline: float) -> Answer:
        """The whole answer, by `deadline` of the loop's clock. Afterwards see `is_ready`.

        Raises:
            TimeoutError: not by then.
            Unanswered: closed by the server before it said anything.
            Cause: closed within the answer, or an answer that is not acceptable.
        """
        timer = self._loop.call_at(deadline, self._expire)
        try:
            return await self._begin(request, max_bytes)
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()

    def is_ready(self) -> bool:
        """Whether it may be asked: it is open, and the system holds nothing that came unasked, nor an end."""
        return self._transport is not None and not self._poll.poll(0)

    def is_open(self) -> bool:
        return self._transport is not None

    def close(self) -> None:
        """At once; a question under way fails."""
        self._fail(errors.Cause("the gateway closed its connection to the upstream"))

    async def wait_closed(self) -> None:
        await self._gone

    # --- Called by the event loop ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, of the same kind
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._open_ones.add(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.close()
            return
        answer.feed(data)
        if answer.wrong:
            self._fail(errors.Cause(answer.wrong))
        elif answer.whole:
            self._succeed(answer)

    def connection_lost(self, error: Exception | None) -> None:
        answer, self._transport = self._answer, None
        self._open_ones.discard(self)
        self._gone.set_result(None)
        if answer is not None and answer.received:
            self._fail(errors.Cause("the upstream closed the connection within an answer"))
        else:
            self._fail(Unanswered("the upstream closed the connection without an answer"))

    # --- One question ------------------------------------------------------------------------------

    def _begin(self, request: bytes, max_bytes: int) -> asyncio.Future[Answer]:
        assert self._waiter is None, "asked while it is answering"
        if self._transport is None:
            raise Unanswered("the upstream closed the connection before it was asked")
        waiter = self._waiter = self._loop.create_future()
        self._answer = Answer(max_bytes)
        self._transport.write(request)
        return waiter

    def _succeed(self, answer: Answer) -> None:
        waiter = self._end()
        # A server that answers before it has read the request may take its rest for another one.
        if not answer.keeps_open or (self._transport and self._transport.get_write_buffer_size()):
            self._abort()
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _fail(self, why: Exception) -> None:
        waiter = self._end()
        self._abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(why)

    def _expire(self) -> None:
        self._fail(TimeoutError())

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _end(self) -> asyncio.Future[Answer] | None:
        """Nothing is asked any more. The future goes too: it would keep what it raised, and that keeps us."""
        waiter, answer = self._waiter, self._answer
        self._waiter = self._answer = None
        if answer is not None:
            answer.close()
        return waiter
