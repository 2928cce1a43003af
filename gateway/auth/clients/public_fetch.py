"""GET from an address that anybody may have chosen: only if it is on the public internet.

The host is looked up here, and the connection goes to an address that was looked at: a name that leads to
this machine or its networks leads nowhere, also if it leads elsewhere the next time it is asked (server-side
request forgery, DNS rebinding). The certificate still has to be the host's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread

from gateway.tokens.fetch import TIMEOUT_S, Fetched, FetchFailed, HttpxFetch

MOST_LOOKUPS: Final = 8
MOST_ADDRESSES: Final = 2

# RFC 4291 section 2.4, and what IANA gives out of it: all else is local, reserved, or another protocol's
# way to carry an IPv4 address past a check of this one (mapped, NAT64).
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
# Protocol assignments and 6to4 relays (RFC 6890, RFC 7526), which `is_global` takes for hosts in part.
_NO_HOSTS_V4: Final = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))

Lookup = Callable[[str, int], Awaitable[list[str]]]


class PublicFetch:
    """`await fetch(url)`, as `HttpxFetch`, for https addresses of public hosts."""

    def __init__(
        self, fetch: HttpxFetch | None = None, lookup: Lookup | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`lookup` gives the addresses of a host and port, and raises OSError."""
        self._fetch = HttpxFetch(timeout_s=timeout_s) if fetch is None else fetch
        self._lookup = _Resolver() if lookup is None else lookup
        self._timeout_s = timeout_s

    async def __call__(self, url: str) -> Fetched:
        """The answer to GET `url`. Raises FetchFailed, also if no address of its host is public."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._from_public(url)
        except TimeoutError as cause:
            raise FetchFailed(f"no whole answer in {self._timeout_s:g} s") from cause

    async def _from_public(self, url: str) -> Fetched:
        addresses = [address for address in await self._addresses(url) if is_public(address)]
        failed = FetchFailed("the host has no public address")
        for address in addresses[:MOST_ADDRESSES]:
            try:
                return await self._fetch(url, address)
            except FetchFailed as error:
                failed = error
        raise failed

    async def _addresses(self, url: str) -> list[str]:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise FetchFailed("the address is not https")
        try:
            return await self._lookup(parts.hostname, parts.port or 443)
        except (OSError, ValueError) as cause:  # ValueError: a name that DNS cannot have
            raise FetchFailed("the host is not known") from cause


def is_public(address: str) -> bool:
    """Whether `address`, an IP address, is one host's on the public internet (RFC 6890). False for what is
    no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.is_multicast or not ip.is_global:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip in _PUBLIC_V6 and ip.sixtofour is None and ip.teredo is None
    return not any(ip in network for network in _NO_HOSTS_V4)


def may_be_public(host: str) -> bool:
    """Whether `host`, of an address somebody gave, may be public: a name, or a public IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")
    return is_public(host)


class _Resolver:
    """The system's look-up, in few threads of its own: a name server that takes its time holds up nobody
    else's look-ups."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(MOST_LOOKUPS)

    async def __call__(self, host: str, port: int) -> list[str]:
        found = await to_thread.run_sync(_look_up, host, port, abandon_on_cancel=True, limiter=self._limiter)
        return list(dict.fromkeys(found))


def _look_up(host: str, port: int) -> list[str]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]
