"""Clients that read through a gateway, over real sockets, and keep every answer that came whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.endurance.upstream import ON_A_PAGE, marker


@dataclass(frozen=True)
class Reader:
    """Who reads: a token, and the patient it is for."""

    patient: str
    token: str


@dataclass(frozen=True)
class Got:
    """A whole answer. `receipt` is its `Ledger-Entry` header."""

    patient: str
    path: str
    status: int
    receipt: str
    body: bytes


@dataclass
class Load:
    """A number of clients of one gateway at `url`. A tenth of the requests is given up, if `impatient`."""

    url: str
    readers: Sequence[Reader]
    seed: int
    impatient: bool = False
    answers: list[Got] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    given_up: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    async def run(self, requests: int, *, clients: int = 16) -> None:
        """So many requests in all. A server that goes away ends it."""
        left = iter(range(requests))
        connector = aiohttp.TCPConnector(limit=clients)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

            async def client() -> None:
                for _ in left:
                    await self._request(session)

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(clients):
                        group.create_task(client())
            except* aiohttp.ClientError:
                pass  # the server is gone: what was not whole does not count

    async def watch(self) -> None:
        """Keeps the heads that are published, until cancelled or the server goes away."""
        async with aiohttp.ClientSession() as session:
            try:
                while True:
                    async with session.get(f"{self.url}/ledger/checkpoint") as reply:
                        note = await reply.read()
                    if note not in self.heads:
                        self.heads.append(note)
                    await asyncio.sleep(0.05)
            except aiohttp.ClientError:
                return

    async def _request(self, session: aiohttp.ClientSession) -> None:
        reader = self._dice.choice(self.readers)
        path = self._path(reader.patient)
        reading = asyncio.create_task(self._read(session, reader, path))
        if self.impatient and self._dice.random() < 0.1:
            await asyncio.wait([reading], timeout=self._dice.random() * 0.02)
            if reading.cancel():
                self.given_up += 1
                await asyncio.wait([reading])
                return
        self.answers.append(await reading)

    def _path(self, patient: str) -> str:
        kind = self._dice.randrange(4)
        if kind == 0:
            return f"Patient/{patient}"
        if kind == 1:
            return f"Observation?patient={patient}"
        return f"Observation/{patient}.{self._dice.randrange(1, 50)}"

    async def _read(self, session: aiohttp.ClientSession, reader: Reader, path: str) -> Got:
        headers = {"Authorization": f"Bearer {reader.token}"}
        async with session.get(f"{self.url}/fhir/{path}", headers=headers) as reply:
            body = await reply.read()
            return Got(reader.patient, path, reply.status, reply.headers.get("Ledger-Entry", ""), body)


def mixed_up(answers: Sequence[Got], patients: Sequence[str]) -> list[Got]:
    """The answers that are not exactly what was asked for."""
    return [got for got in answers if got.status != 200 or not _is_own(got, patients)]


def _is_own(got: Got, patients: Sequence[str]) -> bool:
    others = any(marker(other).encode() in got.body for other in patients if other != got.patient)
    if "?" in got.path:
        return not others and got.body.count(b'"fullUrl"') == ON_A_PAGE
    ident = got.path.partition("/")[2]
    return not others and f'"id": "{ident}"'.encode() in got.body
