"""Servers in the command's loop, and workers, where they fail to start."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.cli.running import first_of, listen, port_of, serving
from gateway.cli.workers import workers
from gateway.errors import ConfigError


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed"})


async def test_a_server_answers_within_its_block_only() -> None:
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port_of(listener)}/"
    async with httpx.AsyncClient(trust_env=False) as client:
        async with serving(application, listener):
            assert (await client.get(url)).status_code == 204
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_an_application_that_does_not_start_is_a_plain_error() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="could not start"):
        async with serving(broken, listener):
            pytest.fail("it is not up")


async def test_a_worker_that_does_not_start_is_a_plain_error(capfd: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="its own message says why"):
        async with workers(2, ["serve", "--frobnicate"], listener, asyncio.Event()):
            pytest.fail("they are not up")
    assert "No such option '--frobnicate'" in capfd.readouterr().err


async def test_the_first_to_end_ends_the_wait_and_its_error_is_the_error() -> None:
    async def fail() -> None:
        raise ConfigError("no")

    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await first_of(asyncio.sleep(0), wait())
    assert cancelled.is_set()
    with pytest.raises(ConfigError):
        await first_of(fail(), wait())


def test_an_address_that_is_not_ours_is_a_plain_error() -> None:
    with pytest.raises(ConfigError, match="cannot be listened on"):
        listen("192.0.2.1", 0)
