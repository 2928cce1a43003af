"""Servers in the command's loop, and workers, where they fail to start."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.cli.running import first_of, listen, port_of, serving, stop_signals
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
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    with stop_signals() as stop:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 10)


async def test_under_nohup_the_end_of_the_terminal_ends_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.05)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


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
