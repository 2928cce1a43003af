"""The fetcher against a real server on this machine: what it takes, and what it will not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.tokens.fetch import FetchFailed, HttpxFetch

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that gives every request `answer`; the address, and the requests as they came."""
    requests: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/jwks", requests


def sends(head: str, body: bytes = b"", length: int | None = None) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        size = len(body) if length is None else length
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {size}\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


async def test_answer_comes_back_as_it_was_sent() -> None:
    async with server(sends("200 OK\r\nCache-Control: max-age=5", b'{"keys":[]}')) as (url, requests):
        fetched = await HttpxFetch()(url)
    assert (fetched.status, fetched.body) == (200, b'{"keys":[]}')
    assert fetched.headers["cache-control"] == "max-age=5"
    assert requests[0].startswith("GET /jwks HTTP/1.1\r\n")
    assert "accept: application/json\r\n" in requests[0].lower()
    assert "authorization" not in requests[0].lower()


@pytest.mark.parametrize("status", ["302 Found", "301 Moved", "307 Temporary", "308 Permanent"])
async def test_redirect_is_an_answer_and_not_followed(status: str) -> None:
    async with (
        server(sends("200 OK", b"elsewhere")) as (other, others),
        server(sends(f"{status}\r\nLocation: {other}")) as (url, _),
    ):
        fetched = await HttpxFetch()(url)
    assert fetched.status == int(status[:3])
    assert (fetched.body, others) == (b"", [])


async def test_cookie_is_not_sent_back() -> None:
    async with server(sends("200 OK\r\nSet-Cookie: a=b; Path=/", b"{}")) as (url, requests):
        fetch = HttpxFetch()
        await fetch(url)
        await fetch(url)
    assert len(requests) == 2
    assert "cookie" not in requests[1].lower()


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(sends("200 OK", b"proxy")) as (proxy, proxied):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        async with server(sends("200 OK", b"origin")) as (url, _):
            assert (await HttpxFetch()(url)).body == b"origin"
    assert proxied == []


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False), (200_000, False)])
async def test_body_is_limited_to_the_byte(size: int, fits: bool) -> None:
    async with server(sends("200 OK", b"x" * size)) as (url, _):
        fetching = HttpxFetch(max_bytes=1000)(url)
        if fits:
            assert len((await fetching).body) == size
        else:
            with pytest.raises(FetchFailed, match="longer"):
                await fetching


async def test_endless_body_is_given_up_at_the_limit() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    async with server(endless) as (url, _):
        with pytest.raises(FetchFailed, match="longer"):
            await HttpxFetch()(url)


async def test_dripping_answer_is_given_up_in_the_time_allowed() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with server(drip) as (url, _):
        with pytest.raises(FetchFailed, match="no whole answer"):
            await HttpxFetch(timeout_s=0.15)(url)


async def test_compressed_answer_is_refused() -> None:
    async with server(sends("200 OK\r\nContent-Encoding: gzip", b"\x1f\x8b")) as (url, requests):
        with pytest.raises(FetchFailed, match="compressed"):
            await HttpxFetch()(url)
    assert "accept-encoding: identity\r\n" in requests[0].lower()


@pytest.mark.parametrize(
    "answer", [sends("200 OK", b"cut", length=10), sends("nonsense"), sends("200 OK\r\n:")]
)
async def test_broken_answer_is_a_failed_fetch(answer: Answer) -> None:
    async with server(answer) as (url, _):
        with pytest.raises(FetchFailed):
            await HttpxFetch()(url)


async def test_nobody_listening_is_a_failed_fetch() -> None:
    async with server(sends("200 OK")) as (url, _):
        pass
    with pytest.raises(FetchFailed):
        await HttpxFetch()(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "nonsense", "https://[::1/", "ftp://127.0.0.1/"])
async def test_address_that_is_none_is_a_failed_fetch(url: str) -> None:
    with pytest.raises(FetchFailed):
        await HttpxFetch()(url)


async def test_a_form_is_sent_as_it_is_and_answered() -> None:
    async with server(sends("200 OK", b"{}")) as (url, requests):
        sent = await HttpxFetch().post(url, {"code": "a b&c", "x": "1"}, {"Authorization": "Basic eDp5"})
    assert (sent.status, sent.body) == (200, b"{}")
    head = requests[0].lower()
    assert head.startswith("post /jwks http/1.1\r\n")
    assert "content-type: application/x-www-form-urlencoded\r\n" in head
    assert f"content-length: {len('code=a+b%26c&x=1')}\r\n" in head
    assert "authorization: basic edp5\r\n" in head
    assert "accept-encoding: identity\r\n" in head


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary", "308 Permanent"])
async def test_a_form_is_not_sent_on_to_where_a_redirect_says(status: str) -> None:
    async with (
        server(sends("200 OK", b"elsewhere")) as (other, others),
        server(sends(f"{status}\r\nLocation: {other}")) as (url, _),
    ):
        sent = await HttpxFetch().post(url, {"code": "c"}, {})
    assert (sent.status, others) == (int(status[:3]), [])


async def test_an_answer_to_a_form_has_the_same_limits() -> None:
    async with server(sends("200 OK", b"x" * 1001)) as (url, _):
        with pytest.raises(FetchFailed, match="longer"):
            await HttpxFetch(max_bytes=1000).post(url, {"code": "c"}, {})
