"""An upstream on a plain socket that says, byte for byte, what a script tells it to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.upstream.client import Upstream

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Called for each request; what it does with the connection is all that happens."""


@dataclass
class Server:
    """Keeps each request's head and body, and answers by `script`."""

    script: Script
    base_url: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            begun = await reader.read(1)
            while begun:
                await self._take_request(begun, reader)
                begun = await self._play(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _take_request(self, begun: bytes, reader: asyncio.StreamReader) -> None:
        head = begun + await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (h.split(": ", 1) for h in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((line, headers, body))

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The first byte of the next request; empty if the client went away, which ends the script."""
        script, next_byte = asyncio.ensure_future(self.script(writer)), asyncio.ensure_future(reader.read(1))
        await asyncio.wait([script, next_byte], return_when=asyncio.FIRST_COMPLETED)
        if script.done() or await next_byte:
            await script
        else:
            script.cancel()
        return await next_byte

    async def until_all_closed(self) -> None:
        await until(lambda: not self.open)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for happens at the other end of a socket
            await asyncio.sleep(0.001)


@asynccontextmanager
async def upstream(
    script: Script,
    *,
    timeout_s: float = 5,
    max_bytes: int = 1000,
    host: str = "127.0.0.1",
    server_tls: ssl.SSLContext | None = None,
    **more: Any,
) -> AsyncIterator[tuple[Upstream, Server]]:
    """A client and the server that it asks; `more` is for the client."""
    server = Server(script)
    listener = await asyncio.start_server(server.serve, host, 0, ssl=server_tls)
    port = listener.sockets[0].getsockname()[1]
    scheme = "http" if server_tls is None else "https"
    server.base_url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/fhir"
    try:
        async with Upstream(server.base_url, timeout_s=timeout_s, max_bytes=max_bytes, **more) as client:
            yield client, server
        await server.until_all_closed()
    finally:
        listener.close()


def response(
    body: bytes = b"{}", status: str = "200 OK", media_type: str = "application/fhir+json", extra: str = ""
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def chunked(*pieces: bytes, trailer: bytes = b"", extra: bytes = b"") -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n"
    return head + extra + b"\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"


def answer(
    body: bytes = b"{}", status: str = "200 OK", media_type: str = "application/fhir+json", extra: str = ""
) -> Script:
    return saying(response(body, status, media_type, extra))


def saying(*pieces: bytes, gap_s: float = 0.0, then_close: bool = False) -> Script:
    """The pieces, each in a segment of its own."""

    async def script(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(gap_s)
        if then_close:
            writer.close()

    return script


def in_turn(*scripts: Script) -> Script:
    """The first script for the first request, and so on; the last one for all that follow."""
    left = list(scripts)

    async def script(writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(writer)

    return script


def cuts(data: bytes) -> Iterable[list[bytes]]:
    """`data` whole, byte by byte, and cut in two at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
