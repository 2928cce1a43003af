"""Whose attempts to log in are counted behind a proxy: those of addresses that a trusted one tells of."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import pytest

from gateway.auth.store.attempts import RULES
from gateway.web.senders import Senders, Trust
from tests.auth.site import Site, Visitor

PROXY, STRANGER = ("10.0.0.7", 4000), ("198.51.100.9", 4000)
TRUST = Trust((ip_network("10.0.0.0/8"),))


async def tried(site: Site, peer: tuple[str, int], told: str, name: str) -> int:
    """The status of an attempt under a name, by a browser that nobody knows."""
    transport = httpx.ASGITransport(Senders(site.app(), TRUST), client=peer)
    headers = {"X-Forwarded-For": told}
    async with httpx.AsyncClient(transport=transport, base_url=site.public_url, headers=headers) as client:
        return (await Visitor(client).password(name, "wrong")).status_code


async def exhaust(site: Site, peer: tuple[str, int], told: str = "203.0.113.5") -> None:
    for number in range(RULES["address"].free):
        assert await tried(site, peer, f"192.0.2.{number}, {told}", f"name-{number}") == 422
    assert await tried(site, peer, told, "one-more") == 429


async def test_each_client_of_a_proxy_has_its_own_count(site: Site) -> None:
    await exhaust(site, PROXY)
    assert await tried(site, PROXY, "203.0.113.6", "somebody") == 422
    assert await tried(site, PROXY, "203.0.113.6, 203.0.113.5", "somebody") == 429


@pytest.mark.parametrize("told", ["203.0.113.77", "10.0.0.7", "127.0.0.1", "unknown"])
async def test_a_stranger_cannot_say_who_else_it_is(site: Site, told: str) -> None:
    """Neither does it get another count, nor use up that of an address that it names."""
    await exhaust(site, STRANGER)
    assert await tried(site, STRANGER, told, "somebody") == 429
    assert await tried(site, PROXY, "203.0.113.5", "somebody") == 422
