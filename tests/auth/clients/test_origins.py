"""Which pages count as those of a registered public client."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.auth.clients.origins import public_origins
from gateway.auth.clients.registry import Secrets
from tests.auth.desk import CLIENTS, ORIGIN, SECRET, Desk

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
    assert await public_origins(desk.ports.database)(origin) is is_one
