"""A FHIR server that costs next to nothing: bytes made beforehand, three bases, one small protocol.

    /seen        the same resources in every answer, so the gateway knows them after the first
    /new         every resource with a new version in every answer, so the gateway reads all of it
    /mentioned   as /new, and each observation names its encounter, so the gateway looks those up too

It answers GET for what the benchmark asks and knows nothing else. Run as a process it prints its port.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from gateway.bench.records import Template, encounters, observations, patient

BASES: Final = ("seen", "new", "mentioned")
SIZES: Final = (50, 1000)
_HEAD: Final = (
    b"HTTP/1.1 %d %s\r\nContent-Type: application/fhir+json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
)
_END: Final = b"\r\n\r\n"


class Records:
    """The answers, by base and address."""

    def __init__(self, base_url: str) -> None:
        self._numbers = count(1)
        self._patient = Template(patient())
        self._encounters = Template(encounters(f"{base_url}/mentioned"))
        self._pages = {
            (base, size): Template(
                observations(size, f"{base_url}/{base}", named_encounters=base == "mentioned")
            )
            for base in BASES
            for size in SIZES
        }
        self._found: dict[str, tuple[Template, bool] | None] = {}

    def answer(self, target: str) -> bytes | None:
        """The body for the request target; None if there is none."""
        if target not in self._found:
            self._found[target] = self._find(target)
        found = self._found[target]
        if found is None:
            return None
        template, fresh = found
        return template.numbered(next(self._numbers) if fresh else 0)

    def _find(self, target: str) -> tuple[Template, bool] | None:
        parts = urlsplit(target)
        base, _, rest = parts.path.lstrip("/").partition("/")
        [size] = parse_qs(parts.query).get("_count", ["0"])
        if base not in BASES:
            return None
        kind, _, ident = rest.partition("/")
        by_kind = {
            "Patient": self._patient if ident else None,
            "Encounter": self._encounters,
            "Observation": self._pages.get((base, int(size))),
        }
        template = by_kind.get(kind)
        return None if template is None else (template, base != "seen")


class _Connection(asyncio.Protocol):
    """Requests without bodies, one after the other on a connection that stays."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._unread = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, of the same kind

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while _END in self._unread:
            head, _, self._unread = self._unread.partition(_END)
            self._answer(head.split(b" ", 2)[1].decode())

    def _answer(self, target: str) -> None:
        body = self._records.answer(target)
        head = _HEAD % ((404, b"Not Found", 0) if body is None else (200, b"OK", len(body)))
        assert self._transport is not None
        self._transport.write(head + (body or b""))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[Records] = loop.create_future()
    server = await loop.create_server(lambda: _Connection(ready.result()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ready.set_result(Records(f"http://127.0.0.1:{port}"))
    print(port, flush=True)  # noqa: T201 - to the process that started this one
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
