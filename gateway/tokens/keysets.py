"""The keys of an issuer, from a file or an https address, never older than they may be.

A set is used while it is fresh: as long as Cache-Control allows (SMART App Launch 2.2: a key set
SHALL NOT be cached longer), or until the file's next look. An attempt that fails leaves the old set
until that moment and no longer. `generation` changes exactly when the keys do, so whoever remembers
a verified token can see that it was verified with other keys.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from gateway.errors import Unauthenticated
from gateway.tokens.fetch import Fetched, FetchFailed
from gateway.tokens.jwks import MAX_BYTES, parse_jwks
from gateway.tokens.signature import VerificationKey

logger = logging.getLogger(__name__)

DEFAULT_LIFETIME_S = 300
MAX_LIFETIME_S = 86_400
# A set that says `no-store` still serves the second it was fetched for: one fetch a second at most.
MIN_LIFETIME_S = 1
COOL_DOWN_S = 30  # between two fetches for the sake of an unknown key id
PAUSE_S = 5  # after a fetch that failed
FILE_LIFETIME_S = 1

KeyTuple = tuple[VerificationKey, ...]
Fetch = Callable[[str], Awaitable[Fetched]]


class Keys(Protocol):
    """An issuer's keys. They are fresh while `now_s < fresh_until_s`."""

    generation: int
    fresh_until_s: int

    async def current(self, now_s: int) -> KeyTuple:
        """The fresh keys. Raises `Unauthenticated` if there are none to be had."""

    async def after_miss(self, now_s: int) -> KeyTuple:
        """The keys after another look for one that `current` did not hold; raises as it does."""


class FileKeys:
    """Keys from a JWK set file, read again when its stamp changes; looked at once a second at most."""

    def __init__(self, path: Path) -> None:
        self.generation = 0
        self.fresh_until_s = 0
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._keys: KeyTuple = ()

    async def current(self, now_s: int) -> KeyTuple:
        if now_s >= self.fresh_until_s:
            self._look(now_s)
        return self._keys

    async def after_miss(self, now_s: int) -> KeyTuple:
        self._look(now_s)
        return self._keys

    def _look(self, now_s: int) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                with self._path.open("rb") as file:
                    keys = parse_jwks(file.read(MAX_BYTES + 1))
                if keys != self._keys:
                    self.generation += 1
                self._keys, self._stamp = keys, stamp
        except (OSError, ValueError) as cause:
            logger.warning("The key set file %s cannot be used: %s", self._path, cause)
            raise _unavailable() from cause
        self.fresh_until_s = now_s + FILE_LIFETIME_S


class RemoteKeys:
    """Keys from an address. All who wait for them at one time share one fetch."""

    def __init__(self, url: str, fetch: Fetch) -> None:
        """Raises `ValueError` unless `url` is https, or http to this machine."""
        check_url(url)
        self.generation = 0
        self.fresh_until_s = 0
        self._url = url
        self._fetch = fetch
        self._keys: KeyTuple = ()
        self._flight: asyncio.Task[bool] | None = None
        self._fetched_at_s: int | None = None
        self._next_miss_s = 0
        self._next_try_s = 0

    async def current(self, now_s: int) -> KeyTuple:
        # More than once only if a fetch begun earlier was joined, and its answer is stale by now.
        while now_s >= self.fresh_until_s:
            if not await self._refresh(now_s):
                raise _unavailable()
        return self._keys

    async def after_miss(self, now_s: int) -> KeyTuple:
        due = now_s >= self._next_miss_s and now_s != self._fetched_at_s
        if due and self._flight is None:
            self._next_miss_s = now_s + COOL_DOWN_S
        if due or self._flight is not None:
            await self._refresh(now_s)
        return await self.current(now_s)

    async def _refresh(self, now_s: int) -> bool:
        """Whether a fetch, joined or begun, gave a set. A waiter that goes away does not end it."""
        if self._flight is None:
            if now_s < self._next_try_s:
                return False
            self._flight = asyncio.create_task(self._load(now_s))
        return await asyncio.shield(self._flight)

    async def _load(self, now_s: int) -> bool:
        try:
            fetched = await self._fetch(self._url)
            if fetched.status != 200:
                raise FetchFailed(f"status {fetched.status}")
            keys = parse_jwks(fetched.body)
        except (FetchFailed, ValueError) as cause:
            logger.warning("The key set at %s cannot be used: %s", self._url, cause)
            self._next_try_s = now_s + PAUSE_S
            return False
        finally:
            self._flight = None
        if keys != self._keys:
            self.generation += 1
        self._keys, self._fetched_at_s = keys, now_s
        self.fresh_until_s = now_s + lifetime_s(fetched.headers)
        return True


def check_url(url: str) -> None:
    """Raises `ValueError` unless `url` is https, or http to a loopback host, without user or fragment."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("a key set's address is https (http only for this machine itself)")
    if not parts.hostname or parts.port == 0 or "@" in parts.netloc or parts.fragment:
        raise ValueError("a key set's address has a host, and neither user, password nor fragment")


def lifetime_s(headers: Mapping[str, str]) -> int:
    """How long an answer may be used, from its request on (RFC 9111 sections 4.2 and 5.2.2)."""
    ages: list[int] = []
    for directive in headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in ("no-store", "no-cache"):
            ages.append(0)
        elif name == "max-age":
            ages.append(_delta(value.strip('"')))
    lifetime = min(ages, default=DEFAULT_LIFETIME_S) - _delta(headers.get("age", "0"))
    return max(MIN_LIFETIME_S, min(lifetime, MAX_LIFETIME_S))


def _delta(text: str) -> int:
    """Delta-seconds; what is not a number counts as no time at all (RFC 9111 section 4.2.1)."""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _unavailable() -> Unauthenticated:
    return Unauthenticated("The token cannot be checked: its issuer's keys are not to be had now.")
