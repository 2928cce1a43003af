"""Which pages count as those of a registered public client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from sqlmodel import Session

from gateway.auth.clients.origins import REMEMBERED, REMEMBERED_MS, public_origins
from gateway.auth.clients.registry import TABLES, Secrets
from gateway.auth.store.database import Database
from tests.auth.desk import CLIENTS, ORIGIN, SECRET, Desk

T = TypeVar("T")
HOSTS = {
    "spelled": "https://spelled.example:443/cb",
    "port": "https://port.example:8443/cb",
    "native": "com.example.app:/cb",
    "loopback": "http://127.0.0.1:4000/cb",
}


async def add(desk: Desk, client: str, redirect_uri: str) -> None:
    made = replace(CLIENTS["public"], id=client, redirect_uris=(redirect_uri,))
    await desk.clients.add(made, "operator", Secrets(), desk.now_s)


@pytest.mark.parametrize(
    ("origin", "is_one"),
    [
        (ORIGIN, True),
        ("https://port.example:8443", True),
        ("http://127.0.0.1:4000", True),
        ("https://spelled.example", True),
        ("https://spelled.example:443", False),
        ("https://port.example", False),
        ("http://app.example", False),
        ("https://app.example:8443", False),
        ("https://app.example/", False),
        ("https://App.example", False),
        ("https://app.exampl", False),
        ("https://pp.example", False),
        ("https://server.example", False),
        ("https://gone.example", False),
        ("https://off.example", False),
        ("https://", False),
        ("https://[", False),
        ("com.example.app:", False),
        ("null", False),
        ("", False),
        ("%", False),
    ],
)
async def test_an_origin(desk: Desk, origin: str, is_one: bool) -> None:
    for client, redirect_uri in HOSTS.items():
        await add(desk, client, redirect_uri)
    server = replace(CLIENTS["symmetric"], id="server", redirect_uris=("https://server.example/cb",))
    await desk.clients.add(server, "operator", Secrets(SECRET), desk.now_s)
    for client in ("gone", "off"):
        await add(desk, client, f"https://{client}.example/cb")
    await desk.clients.remove("gone", desk.now_s)
    await desk.clients.set_disabled("off", True, desk.now_s)
    assert await public_origins(desk.ports.database, desk.ports.now_ms)(origin) is is_one


class Counted(Database):
    """Another connection to the same file, which counts what it is asked."""

    looks = 0

    async def run(self, work: Callable[[Session], T]) -> T:
        self.looks += 1
        return await super().run(work)


@pytest.fixture
def counted(desk: Desk, tmp_path: Path) -> Iterator[Counted]:
    assert desk.now_s
    database = Counted(tmp_path / "auth.db", TABLES)
    yield database
    database.close()


async def test_an_answer_lasts_a_second(desk: Desk, counted: Counted) -> None:
    now_ms = 1_000_000
    origins = public_origins(counted, lambda: now_ms)
    assert [await origins(origin) for origin in (ORIGIN, "https://x.example")] == [True, False]
    await desk.clients.remove("public", desk.now_s)
    await desk.clients.remove("other", desk.now_s)
    await desk.clients.remove("once", desk.now_s)
    await add(desk, "x", "https://x.example/cb")
    now_ms += REMEMBERED_MS - 1
    assert [await origins(origin) for origin in (ORIGIN, "https://x.example")] == [True, False]
    assert counted.looks == 2
    now_ms += 1
    assert [await origins(origin) for origin in (ORIGIN, "https://x.example")] == [False, True]
    now_ms -= 5  # a clock that was put back is no reason to believe what was remembered
    assert counted.looks == 4
    await origins(ORIGIN)
    assert counted.looks == 5


async def test_there_is_an_end_to_what_is_remembered(desk: Desk, counted: Counted) -> None:
    origins = public_origins(counted, lambda: 1_000_000)
    for number in range(REMEMBERED + 1):
        await origins(f"https://{number}.example")
    before = counted.looks
    await origins("https://0.example")
    await origins("https://0.example")
    assert counted.looks == before + 1
