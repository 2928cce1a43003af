"""The project's own sandbox server as an upstream, under uvicorn in a process of its own.

Run as a module it is that process: the application at a free port, made anew by `DELETE` on its
base, ended by the end of standard input.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.sandbox.app import sandbox_app
from tests.support.ports import bound_socket
from tests.upstreams.base import Process, Upstream

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def sandbox(*, page_size: int = 20) -> Iterator[Upstream]:
    """An empty server."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.upstreams.sandbox", str(page_size)]
        process = Process(command, ROOT, Path(folder) / "sandbox.log", start_s=60)
        with process, closing(Upstream("sandbox", process.base_url, _wipe)) as upstream:
            yield upstream


def _wipe(client: httpx.Client, base_url: str) -> httpx.Response:
    return client.delete(base_url)


class _Renewable:
    """The sandbox, with one request more: `DELETE /fhir` puts an empty one in its place."""

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        self._app = self._new()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "DELETE" and scope["path"] == "/fhir":
            self._app = self._new()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await self._app(scope, receive, send)

    def _new(self) -> ASGIApp:
        return sandbox_app(now=lambda: datetime.now(UTC), page_size=self._page_size)


def _main() -> None:
    config = uvicorn.Config(_Renewable(int(sys.argv[1])), lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    with bound_socket() as listener:
        threading.Thread(target=_end_with_standard_input, args=(server,), daemon=True).start()
        listener.listen()
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}/fhir", flush=True)
        server.run(sockets=[listener])


def _end_with_standard_input(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    _main()
