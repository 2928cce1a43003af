"""The helpers themselves: a real server for any application, and requests byte for byte."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.support.asgi import PARSERS, Parser, serve
from tests.support.ports import bound_socket, raw_http, unused_port


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.method} {request.url.path}")


APP = Starlette(routes=[Route("/{rest:path}", echo, methods=["GET", "POST"])])


@pytest.mark.parametrize("http", PARSERS)
def test_serves_over_http_and_stops(http: Parser) -> None:
    with serve(APP, http=http) as served:
        assert httpx.get(f"{served.url}/a", trust_env=False, timeout=60).text == "GET /a"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port), timeout=1)


@pytest.mark.parametrize("http", PARSERS)
def test_raw_bytes_reach_the_parser(http: Parser) -> None:
    with serve(APP, http=http) as served:
        good = raw_http(served.port, b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        bad = raw_http(served.port, b"GET /b HTTP/1.1\r\nHost h\r\n\r\n")
    assert good.startswith(b"HTTP/1.1 200 ")
    assert good.endswith(b"GET /b")
    assert bad.startswith(b"HTTP/1.1 400 ")


def test_an_open_connection_ends_after_the_quiet_time() -> None:
    with serve(APP) as served:
        answer = raw_http(served.port, b"GET /c HTTP/1.1\r\nHost: h\r\n\r\n", quiet_s=0.2)
    assert answer.endswith(b"GET /c")


def test_an_application_that_does_not_start_is_an_error() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if not APP.routes:
            yield
        raise ValueError("no")

    with pytest.raises(RuntimeError, match="did not start"), serve(Starlette(lifespan=lifespan)):
        pass


def test_ports_are_free_and_different() -> None:
    with bound_socket() as one, bound_socket() as other:
        assert one.getsockname()[1] != other.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", unused_port()), timeout=1)
