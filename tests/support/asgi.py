"""Any ASGI application under a real uvicorn on a free port, in a thread of the test process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn

from tests.support.ports import bound_socket

Parser = Literal["h11", "httptools"]
PARSERS: tuple[Parser, ...] = ("h11", "httptools")


@dataclass(frozen=True, slots=True)
class Served:
    """`url` has no closing slash."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve(app: Any, *, http: Parser = "httptools", **options: Any) -> Iterator[Served]:
    """`app` as it would be served; `options` are uvicorn's. Raises RuntimeError when it does not start.

    Lifespan events are sent if the application takes them. Open requests get 5 s at the end.
    """
    config = uvicorn.Config(app, http=http, log_config=None, timeout_graceful_shutdown=5, **options)
    server = _Server(config)
    with bound_socket() as listener:
        thread = threading.Thread(target=server.serve_until_told, args=(listener,))
        thread.start()
        try:
            server.settled.wait(30)
            if not server.started:
                raise RuntimeError("the application did not start")
            yield Served(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """uvicorn's server that says when its start has gone well or ill."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    def serve_until_told(self, listener: socket.socket) -> None:
        with suppress(SystemExit):  # how uvicorn ends when the application does not start
            self.run(sockets=[listener])

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()
