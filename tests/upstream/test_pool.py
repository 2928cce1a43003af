"""How many connections there are, who waits for them, and how they end."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections import Counter

import pytest

from gateway import errors
from gateway.core.values import Ask, UpstreamReply
from gateway.upstream import pool
from gateway.upstream.answer import Answer
from gateway.upstream.client import Upstream
from gateway.upstream.connection import Connection
from tests.support.ports import unused_port
from tests.upstream.scripted import Script, answer, in_turn, response, saying, until, upstream

READ = Ask("/Patient/a")
SLOW = saying(response()[:10], response()[10:], gap_s=0.01)


async def nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(10)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_never_more_connections_than_the_limit_and_no_more_than_needed() -> None:
    async with upstream(SLOW, connections=3) as (client, server):
        await asyncio.gather(*(client.fetch(READ) for _ in range(20)))
        assert (server.connections, server.most_open, len(server.requests)) == (3, 3, 20)
        for _ in range(5):
            await client.fetch(READ)
        assert server.connections == 3


async def test_the_limit_holds_when_connections_break() -> None:
    scripts = [SLOW, hang_up, answer(extra="Connection: close\r\n"), saying(b"HTTP/1.1 2", then_close=True)]
    async with upstream(in_turn(*scripts * 20), connections=3) as (client, server):
        replies = await asyncio.gather(*(client.fetch(READ) for _ in range(60)), return_exceptions=True)
        outcomes = Counter(type(reply) for reply in replies)
        assert outcomes.keys() == {UpstreamReply, errors.UpstreamUnusable}
        assert server.most_open <= 2 * 3  # the server learns of an end a moment later


async def test_who_waits_is_served_in_the_order_of_coming() -> None:
    async with upstream(SLOW, connections=1) as (client, server):
        await asyncio.gather(*(client.fetch(Ask(f"/Patient/{n}")) for n in range(10)))
        assert [line for line, _, _ in server.requests] == [
            f"GET /fhir/Patient/{n} HTTP/1.1" for n in range(10)
        ]


async def test_the_time_is_for_waiting_too() -> None:
    async with upstream(nothing, connections=1, timeout_s=0.1) as (client, server):
        replies = await asyncio.gather(*(client.fetch(READ) for _ in range(3)), return_exceptions=True)
        assert [type(reply) for reply in replies] == [errors.UpstreamTimeout] * 3
        assert len(server.requests) == 1


async def test_who_gives_up_waiting_takes_nothing_along() -> None:
    given_up = asyncio.Event()

    async def then_answers(writer: asyncio.StreamWriter) -> None:
        await given_up.wait()
        await SLOW(writer)

    async with upstream(then_answers, connections=1) as (client, server):
        tasks = [asyncio.create_task(client.fetch(Ask(f"/Patient/{n}"))) for n in range(6)]
        await until(lambda: bool(server.requests))
        for task in tasks[1::2]:
            task.cancel()
        given_up.set()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(reply, UpstreamReply) for reply in replies] == [True, False] * 3
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_question_for_which_no_connection_can_be_made_gives_its_place_back() -> None:
    async with Upstream(
        f"http://127.0.0.1:{unused_port()}", timeout_s=5, max_bytes=10, connections=1
    ) as client:
        for _ in range(3):
            with pytest.raises(errors.UpstreamUnusable):
                await client.fetch(READ)


async def test_a_name_that_there_is_not() -> None:
    async with Upstream("http://no-such-host.invalid", timeout_s=5, max_bytes=10) as client:
        with pytest.raises(errors.UpstreamUnusable):
            await client.fetch(READ)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", *(["::1"] if _has_ipv6() else [])])
async def test_addresses_and_names(host: str) -> None:
    async with upstream(answer(), host=host) as (client, server):
        assert (await client.fetch(READ)).status == 200
        assert server.requests[0][1]["host"] == server.base_url.split("/")[2]


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with upstream(answer()) as (client, _):
        assert (await client.fetch(READ)).status == 200


# --- Rest ------------------------------------------------------------------------------------------


async def test_what_rested_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "BETWEEN_SWEEPS_S", 0.02)
    monkeypatch.setattr(pool, "LONGEST_REST_S", 0.5)
    async with upstream(SLOW) as (client, server):
        await asyncio.gather(*(client.fetch(READ) for _ in range(3)))
        async with asyncio.timeout(30):
            while server.open > 1:
                await client.fetch(READ)  # one goes on being asked
        assert server.connections == 3
        await server.until_all_closed()
        await client.fetch(READ)
        assert server.connections == 4


async def test_what_the_server_closed_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "BETWEEN_SWEEPS_S", 0.02)

    async def closes_in_a_moment(writer: asyncio.StreamWriter) -> None:
        await SLOW(writer)
        asyncio.get_running_loop().call_later(0.01, writer.close)

    gc.collect()
    before = _alive()[Connection.__name__]

    def let_go() -> bool:
        gc.collect()
        return _alive()[Connection.__name__] <= before

    async with upstream(closes_in_a_moment) as (client, _):
        await asyncio.gather(*(client.fetch(READ) for _ in range(5)))
        await until(let_go)


# --- The end ---------------------------------------------------------------------------------------


async def test_closing_ends_what_is_under_way_and_what_waits() -> None:
    async with upstream(nothing, connections=1) as (client, server):
        tasks = [asyncio.create_task(client.fetch(READ)) for _ in range(3)]
        await until(lambda: bool(server.requests))
        await client.__aexit__(None, None, None)
        await server.until_all_closed()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(reply) for reply in replies] == [errors.UpstreamUnusable] * 3
        assert (server.connections, len(server.requests)) == (1, 1)


async def test_closing_while_it_connects_leaves_no_connection() -> None:
    async with upstream(answer()) as (client, server):
        task = asyncio.create_task(client.fetch(READ))
        await asyncio.sleep(0)
        await client.__aexit__(None, None, None)
        with pytest.raises(errors.UpstreamUnusable):
            await task
        await asyncio.sleep(0.02)
        assert (server.open, len(server.requests)) == (0, 0)


async def test_after_the_end_nothing_is_asked() -> None:
    async with upstream(answer()) as (client, server):
        await client.fetch(READ)
        await client.__aexit__(None, None, None)
        with pytest.raises(errors.UpstreamUnusable):
            await client.fetch(READ)
        assert (server.connections, len(server.requests)) == (1, 1)


# --- Memory ----------------------------------------------------------------------------------------

WAYS_TO_END: dict[str, Script] = {
    "answered": answer(),
    "refused": answer(media_type="text/html"),
    "not HTTP": saying(b"SSH-2.0\r\n"),
    "too long": answer(b"x" * 1001),
    "hung up": hang_up,
    "cut": saying(response()[:-1], then_close=True),
    "the last": answer(extra="Connection: close\r\n"),
    "late": nothing,
    "cancelled": nothing,
}


FAILURES = ("UpstreamUnusable", "UpstreamTimeout", "Cause", "Unanswered")
COUNTED = frozenset({Answer.__name__, Connection.__name__, "HttpResponseParser", *FAILURES})


def _alive() -> Counter[str]:
    """What there is of ours; other tests may have left some."""
    return Counter(name for each in gc.get_objects() if (name := type(each).__name__) in COUNTED)


@pytest.mark.parametrize("way", WAYS_TO_END)
async def test_nothing_is_left_for_the_collector(way: str) -> None:
    """The gateway's collector hardly ever runs; a cycle for each request would fill the memory."""

    async def once() -> None:
        task = asyncio.create_task(client.fetch(READ))
        if way == "cancelled":
            await asyncio.sleep(0.003)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()

    async with upstream(WAYS_TO_END[way], timeout_s=0.005 if way == "late" else 5) as (client, _):
        for _ in range(3):
            await once()
        gc.collect()
        before = _alive()
        gc.disable()
        try:
            for _ in range(30):
                await once()
            await asyncio.sleep(0.1)
            left = _alive() - before
        finally:
            gc.enable()
        assert left.keys() <= {Connection.__name__, *FAILURES}
        assert left[Connection.__name__] <= 1
        assert sum(left[name] for name in FAILURES) <= 1
