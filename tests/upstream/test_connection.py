"""What becomes of a connection: kept after a whole answer, and after anything else never asked again."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from gateway import errors
from gateway.core.values import Ask, UpstreamReply
from gateway.upstream.client import Upstream
from gateway.upstream.connection import Connection, Unanswered
from tests.upstream.scripted import Script, answer, chunked, cuts, in_turn, response, saying, until, upstream

READ = Ask("/Patient/a")
FORM = Ask("/Patient", (("_id", "x" * 5000),))
RIGHT = b'{"right":1}'
POISON = response(b'{"poison":1}')
OK = b"HTTP/1.1 200 OK\r\n"


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def half_close(writer: asyncio.StreamWriter) -> None:
    writer.write(response())
    writer.write_eof()
    await asyncio.sleep(0.05)


async def nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(10)


KEPT = {
    "a length": answer(),
    "chunks": saying(chunked(b"{", b"}")),
    "chunks and a trailer": saying(chunked(b"{}", trailer=b"Content-Type: text/html\r\n")),
    "an interim answer before": saying(b"HTTP/1.1 103 Early Hints\r\n\r\n", response()),
    "not found": answer(status="404 Not Found"),
    "a refused status": answer(status="500 Oops"),
    "a refused media type": answer(media_type="text/html"),
    "HTTP/1.0 that stays": saying(response(extra="Connection: keep-alive\r\n").replace(b"1.1", b"1.0")),
}

NOT_KEPT = {
    "the last one, it says": answer(extra="Connection: close\r\n"),
    "HTTP/1.0": saying(response().replace(b"1.1", b"1.0")),
    "more than an answer": saying(response() + POISON),
    "more than an answer, in a moment": saying(response(), POISON, gap_s=0.01),
    "a beginning of more": saying(response() + b"H"),
    "a body where there is none": saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b"{}"),
    "an answer without end": saying(OK + b"\r\n{}"),
    "another protocol": saying(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
    "too long": answer(b"x" * 1001),
    "not HTTP": saying(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "cut short": saying(response()[:-1], then_close=True),
    "cut within a chunk": saying(chunked(b"{}")[:-3], then_close=True),
    "cut before the last chunk": saying(chunked(b"{}")[:-5], then_close=True),
    "cut within the head": saying(OK, then_close=True),
    "only interim": saying(b"HTTP/1.1 100 Continue\r\n\r\n", then_close=True),
    "hung up": hang_up,
    "reset": reset,
    "half closed": half_close,
    "too late": nothing,
}


@pytest.mark.parametrize("script", KEPT.values(), ids=KEPT)
async def test_kept(script: Script) -> None:
    async with upstream(in_turn(script, answer(RIGHT))) as (client, server):
        await _either(client)
        assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert server.connections == 1


@pytest.mark.parametrize("script", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_not_kept(script: Script) -> None:
    async with upstream(in_turn(script, answer(RIGHT)), timeout_s=1) as (client, server):
        await _either(client)
        await asyncio.sleep(0.05)
        assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert (server.connections, len(server.requests)) == (2, 2)


async def _either(client: Upstream) -> None:
    with suppress(errors.UpstreamUnusable, errors.UpstreamTimeout):
        assert b"poison" not in (await client.fetch(READ)).body


@pytest.mark.parametrize("data", [response(RIGHT), chunked(RIGHT[:4], RIGHT[4:])], ids=["length", "chunks"])
async def test_an_answer_in_any_segments(data: bytes) -> None:
    pieces = iter(cuts(data))
    rest = [next(pieces), next(pieces), *list(pieces)[::7]]
    async with upstream(in_turn(*(saying(*each) for each in rest))) as (client, server):
        for _ in rest:
            assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert server.connections == 1


async def test_a_large_answer() -> None:
    body = b'"' + b"x" * 5_000_000 + b'"'
    async with upstream(answer(body), max_bytes=6_000_000) as (client, _):
        assert (await client.fetch(READ)).body == body


# --- What nobody asked for -------------------------------------------------------------------------


@contextmanager
def blocking_server() -> Iterator[tuple[socket.socket, str]]:
    """One that the test drives itself, while the event loop stands still."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"


def _answer_next(connection: socket.socket, data: bytes) -> None:
    assert connection.recv(65536)
    connection.sendall(data)


@pytest.mark.parametrize("what", [POISON, b"\r\n", b""], ids=["an answer", "an empty line", "an end"])
async def test_what_came_while_the_loop_was_busy_is_never_the_next_answer(what: bytes) -> None:
    """The bytes lie in the system's buffer when the next request is to be sent."""
    with blocking_server() as (listener, base_url):
        async with Upstream(base_url, timeout_s=5, max_bytes=1000) as client:
            first = asyncio.create_task(client.fetch(READ))
            await asyncio.sleep(0.05)
            one, _ = listener.accept()
            await asyncio.to_thread(_answer_next, one, response())
            await first
            if what:
                one.sendall(what)
            else:
                one.shutdown(socket.SHUT_WR)
            time.sleep(0.02)  # noqa: ASYNC251 - nothing of the client's may run
            second = asyncio.create_task(client.fetch(READ))
            two, _ = await asyncio.to_thread(listener.accept)
            await asyncio.to_thread(_answer_next, two, response(RIGHT))
            assert await second == UpstreamReply(200, RIGHT)
            assert _is_closed(one)
            one.close()
            two.close()


async def test_an_answer_before_the_request_was_read_is_the_last_on_its_connection() -> None:
    """Its rest could be taken for a second request."""
    with blocking_server() as (listener, base_url):
        async with Upstream(base_url, timeout_s=5, max_bytes=1000) as client:
            long = Ask("/Patient", (("_id", "x" * 20_000_000),))
            first = asyncio.create_task(client.fetch(long))
            one, _ = await asyncio.to_thread(listener.accept)
            one.sendall(response())
            assert (await first).status == 200
            assert await asyncio.to_thread(_is_closed, one)
            one.close()


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side closed it, once all that was sent is read."""
    connection.settimeout(5)
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    return True


# --- Asked again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [READ, FORM], ids=["GET", "form"])
@pytest.mark.parametrize("end", [hang_up, reset], ids=["closed", "reset"])
async def test_asked_again_if_a_kept_connection_turns_out_to_be_closed(ask: Ask, end: Script) -> None:
    async with upstream(in_turn(answer(), end, answer(RIGHT))) as (client, server):
        await client.fetch(READ)
        assert await client.fetch(ask) == UpstreamReply(200, RIGHT)
        assert (server.connections, len(server.requests)) == (2, 3)
        assert server.requests[1] == server.requests[2]


NOT_ASKED_AGAIN = {
    "a new connection": ([hang_up], 1),
    "a byte of an answer": ([answer(), saying(b"H", then_close=True)], 2),
    "an interim answer": ([answer(), saying(b"HTTP/1.1 100 Continue\r\n\r\n", then_close=True)], 2),
    "the second time": ([answer(), hang_up, hang_up], 3),
    "a refused answer": ([answer(), saying(b"SSH-2.0\r\n")], 2),
    "too late": ([answer(), nothing], 2),
}


@pytest.mark.parametrize(("scripts", "asked"), NOT_ASKED_AGAIN.values(), ids=NOT_ASKED_AGAIN)
async def test_not_asked_again(scripts: list[Script], asked: int) -> None:
    async with upstream(in_turn(*scripts, answer(RIGHT)), timeout_s=1) as (client, server):
        if len(scripts) > 1:
            await client.fetch(READ)
        with pytest.raises((errors.UpstreamUnusable, errors.UpstreamTimeout)):
            await client.fetch(READ)
        assert len(server.requests) == asked


async def test_a_connection_that_is_gone_before_it_is_asked() -> None:
    connection = Connection(set())
    with pytest.raises(Unanswered):
        await connection.ask(b"", 10, asyncio.get_running_loop().time() + 1)


# --- In time ---------------------------------------------------------------------------------------


async def dribble(writer: asyncio.StreamWriter) -> None:
    """A byte now and then: each alone is in time."""
    for byte in response(b"x" * 1000):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def interim_without_end(writer: asyncio.StreamWriter) -> None:
    for _ in range(200):
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


LATE = {
    "no head": nothing,
    "part of a head": saying(OK, gap_s=10),
    "part of a body": saying(response()[:-1], gap_s=10),
    "no last chunk": saying(chunked(b"{}")[:-5], gap_s=10),
    "a dribble": dribble,
    "nothing but interim answers": interim_without_end,
}


@pytest.mark.parametrize("script", LATE.values(), ids=LATE)
async def test_the_time_is_for_the_whole_answer(script: Script) -> None:
    async with upstream(script, timeout_s=0.15) as (client, server):
        began = time.monotonic()
        with pytest.raises(errors.UpstreamTimeout):
            await client.fetch(READ)
        assert 0.14 < time.monotonic() - began < 5  # and not the ten seconds of the script
        assert server.connections == 1


async def test_the_time_is_for_connecting_too() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [_begin_to_connect(address) for _ in range(3)]
        async with Upstream(f"http://127.0.0.1:{address[1]}", timeout_s=0.1, max_bytes=10) as client:
            with pytest.raises(errors.UpstreamTimeout):
                await client.fetch(READ)
        for filler in fillers:
            filler.close()


def _begin_to_connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(address)
    select.select([], [connection], [], 0.01)
    return connection


# --- Cancelled -------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [nothing, saying(response()[:-1], gap_s=10)], ids=["head", "body"])
async def test_cancelled_while_it_waits(script: Script) -> None:
    async with upstream(in_turn(script, answer(RIGHT)), connections=1) as (client, server):
        task = asyncio.create_task(client.fetch(READ))
        await until(lambda: bool(server.requests))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until_all_closed()
        assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert server.connections == 2


async def test_cancelled_at_every_step_of_connecting() -> None:
    """uvloop tells a connection that was made, but not handed over, nothing of its end."""
    async with upstream(answer(RIGHT)) as (_, server):
        for turns in range(20):
            async with Upstream(server.base_url, timeout_s=5, max_bytes=1000) as client:
                task = asyncio.create_task(client.fetch(READ))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                async with asyncio.timeout(5):
                    await client.__aexit__(None, None, None)


async def test_cancelled_at_every_step() -> None:
    """After so many turns of the event loop, from before it is begun until after it is done."""
    async with upstream(answer(RIGHT), connections=1) as (client, _):
        done = 0
        for turns in range(60):
            task = asyncio.create_task(client.fetch(READ))
            for _ in range(turns % 30):
                await asyncio.sleep(0)
            task.cancel()
            try:
                assert await task == UpstreamReply(200, RIGHT)
                done += 1
            except asyncio.CancelledError:
                pass
            assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert done < 60
