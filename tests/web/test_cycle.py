"""What leaves is, byte for byte, what uvicorn's own httptools protocol would send; so is what an application
is told of a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

from gateway.web.cycle import Cycle
from gateway.web.protocol import StrictHttpToolsProtocol
from tests.support.asgi import Parser, serve
from tests.support.ports import raw_http

LENGTH_2 = (b"content-length", b"2")


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


# What an application sends, by the path it is asked for.
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "/plain": [start(LENGTH_2, (b"x-more", b"1"), (b"x-more", b"2")), part(b"ab")],
    "/empty": [start((b"content-length", b"0")), part(b"")],
    "/large": [start((b"content-length", b"300000")), part(b"a" * 300_000)],
    "/parts": [start(LENGTH_2), part(b"a", more=True), part(b"b")],
    "/chunked": [start(), part(b"a", more=True), part(b"b")],
    "/chunked-by-name": [start((b"transfer-encoding", b"chunked")), part(b"ab")],
    "/unchanged": [start((b"etag", b'"x"'), status=304), part(b"")],
    "/nothing": [start(status=204), part(b"")],
    "/no-list": [{**start(), "headers": (LENGTH_2,)}, part(b"ab")],
    "/last": [start(LENGTH_2, (b"connection", b"close")), part(b"ab")],
}
# What fails between head and body, or is no head.
FAILURES: dict[str, list[dict[str, Any]]] = {
    "/split": [start(LENGTH_2, (b"etag", b"x\r\nset-cookie: a=b")), part(b"ab")],
    "/split-name": [start(LENGTH_2, (b"etag: x\r\nset-cookie", b"a=b")), part(b"ab")],
    "/control": [start(LENGTH_2, (b"etag", b"\x00")), part(b"ab")],
    "/silent": [],
    "/head-alone": [start(LENGTH_2)],
    "/no-body-first": [part(b"ab")],
}
REQUESTS = {
    "GET": b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET, the last": b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET, HTTP/1.0": b"GET %b HTTP/1.0\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/raise":
        await send(start(LENGTH_2))
        raise ValueError("between head and body")
    if path not in ANSWERS | FAILURES:
        body = await told(scope, receive)
        await send(start((b"content-length", b"%d" % len(body))))
        await send(part(body))
        return
    for message in (ANSWERS | FAILURES)[path]:
        await send(message)


async def told(scope: Scope, receive: Receive) -> bytes:
    """All that the application learns of a request, with its body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    known = {name: scope[name] for name in scope.keys() - {"client", "server"}}
    return json.dumps({**known, "body": body}, default=repr, sort_keys=True).encode()


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """Of uvicorn's own protocol, and of ours."""
    kinds: tuple[Parser, Parser] = ("httptools", cast("Parser", StrictHttpToolsProtocol))
    with ExitStack() as stack:
        options = {"date_header": False, "access_log": False, "lifespan": "off"}
        own, ours = (stack.enter_context(serve(app, http=kind, **options)).port for kind in kinds)
        yield own, ours


def both(ports: tuple[int, int], request: bytes) -> tuple[bytes, bytes]:
    own, ours = (raw_http(port, request, quiet_s=0.15) for port in ports)
    return own, ours


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer(ports: tuple[int, int], path: str, request_: bytes) -> None:
    own, ours = both(ports, request_ % path.encode())
    assert own.startswith(b"HTTP/1.1 ")
    assert ours == own


@pytest.mark.parametrize("path", [*FAILURES, "/raise"])
def test_a_failure_lets_nothing_of_the_answer_out(ports: tuple[int, int], path: str) -> None:
    _, ours = both(ports, REQUESTS["GET, the last"] % path.encode())
    assert b"ab" not in ours
    assert b"set-cookie" not in ours
    assert ours.startswith(b"HTTP/1.1 500 ") or not ours


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /a?b?c=%20 HTTP/1.1\r\nHost: x\r\nX-A:  b \r\nx-a: c\r\n\r\n",
        b"GET /a%20b/%C3%BC? HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //x/y;z?/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /plain HTTP/1.1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\naHEAD /plain HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
    ],
)
def test_what_the_application_is_told(ports: tuple[int, int], request_: bytes) -> None:
    own, ours = both(ports, request_)
    assert ours == own != b""


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def writelines(self, pieces: list[bytes]) -> None:
        self.written.append(b"".join(pieces))

    def write(self, piece: bytes) -> None:
        self.written.append(piece)

    def close(self) -> None:
        self.written.append(b"closed")


def cycle(transport: Transport, done: Callable[[], None]) -> Cycle:
    return Cycle(
        scope=cast("Any", {"method": "GET"}),
        transport=cast("Any", transport),
        flow=FlowControl(cast("Any", transport)),
        logger=cast("Any", None),
        access_logger=cast("Any", None),
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=done,
    )


async def test_a_whole_answer_is_one_write() -> None:
    transport, ends = Transport(), list[int]()
    sent = cycle(transport, lambda: ends.append(1))
    await sent.send(cast("Any", start(LENGTH_2)))
    assert transport.written == []
    await sent.send(cast("Any", part(b"ab")))
    assert transport.written == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nab"]
    assert sent.response_complete
    assert ends == [1]
    with pytest.raises(RuntimeError):
        await sent.send(cast("Any", part(b"ab")))


async def test_nothing_is_written_to_who_is_gone() -> None:
    transport = Transport()
    sent = cycle(transport, lambda: None)
    sent.disconnected = True
    for message in ANSWERS["/plain"]:
        await sent.send(cast("Any", message))
    assert transport.written == []


async def test_what_has_another_length_than_announced_is_no_answer() -> None:
    transport = Transport()
    sent = cycle(transport, lambda: None)
    await sent.send(cast("Any", start((b"content-length", b"3"))))
    with pytest.raises(RuntimeError):
        await sent.send(cast("Any", part(b"ab")))
    assert not sent.response_complete
