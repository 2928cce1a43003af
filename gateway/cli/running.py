"""Servers inside the command's own event loop: a listening socket, a server on it, the ledger as its writer.

uvicorn's own handling of signals is left out: who starts a server here also ends it, and closes the ledger
after the last answer has left. Nothing here decides what is served.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from typing import Final, Literal

import uvicorn
import uvloop
from starlette.types import ASGIApp

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.house import OpenHouse, open_house
from gateway.ledger.ledger import Ledger
from gateway.web.protocol import CertifiedH11Protocol, StrictHttpToolsProtocol

GRACE_S: Final = 3
"""How long answers that are under way may take once the server is told to end."""
WRITER_ENDS_WITHIN_S, LOOK_AGAIN_S = 5.0, 0.1
BACKLOG: Final = 2048
ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Http = Literal["httptools", "h11"]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is a free one. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another server.port, or --port."
        ) from error


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def bound(settings: Settings, listener: socket.socket) -> Settings:
    """The settings with the port that is really listened on."""
    return replace(settings, server=replace(settings.server, port=port_of(listener)))


def runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM, Ctrl-C or the end of the terminal sets. Needs a running loop.

    Under `nohup` the end of the terminal stays ignored.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    numbers = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def first_of(*waits: Coroutine[object, object, object]) -> None:
    """Returns when one of them does, or raises what it raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def writing_house(settings: Settings) -> AsyncIterator[OpenHouse]:
    """The open house of a process that writes the ledger, for as long as it lives.

    A command that has the ledger for a moment is waited for. Raises ConfigError if another server has it,
    else as `open_house`.
    """
    for _ in range(int(WRITER_ENDS_WITHIN_S / LOOK_AGAIN_S)):
        async with open_house(settings) as house:
            if isinstance(house.ledger, Ledger):
                yield house
                return
        await asyncio.sleep(LOOK_AGAIN_S)
    raise ConfigError(
        f"Another server writes the ledger {settings.ledger.store}; end it, or give it more --workers."
    )


@asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket, http: Http = "httptools", tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serves `app` on `listener`, by `tls` if that is given; up when the block begins, and at the end every
    answer has left, or `GRACE_S` are over. Raises ConfigError if the application does not start."""
    server = _Server(_config(app, http, tls))
    task = asyncio.create_task(_serve(server, listener))
    try:
        await first_of(_ended(task), server.up.wait())
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    task.result()


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit as error:  # how uvicorn says that the application's start failed
        raise ConfigError("The server could not start; its log says why.") from error


def _config(app: ASGIApp, http: Http, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=StrictHttpToolsProtocol if http == "httptools" else CertifiedH11Protocol,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Server(uvicorn.Server):
    """`up` is set when connections are taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle()
        self.up.set()


def settle() -> None:
    """What is there after the start stays: the collector need not walk through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
