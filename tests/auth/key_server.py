"""A client's key server, over https on this machine, that answers as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.tokens import forge


@dataclass
class KeyServer:
    """`heads` are the requests as they came; `pause_s` is how long each waits for its answer."""

    port: int = 0
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pause_s: float = 0
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/jwks.json"

    def put(self, *keys: Mapping[str, object], **headers: str) -> None:
        self.body = forge.jwks(*keys)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await asyncio.sleep(self.pause_s)
            named = {
                "Content-Type": "application/json",
                "Content-Length": str(len(self.body)),
                **self.headers,
            }
            head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
            writer.write(f"HTTP/1.1 {self.status}\r\n{head}\r\n".encode() + self.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away, as it may
        finally:
            writer.close()


@asynccontextmanager
async def key_server(tls: ssl.SSLContext) -> AsyncIterator[KeyServer]:
    server = KeyServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
