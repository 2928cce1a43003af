"""Which pages elsewhere may use the FHIR addresses from a browser (Fetch, CORS protocol).

What the gateway says about itself is for every page; records are for the pages of registered apps alone
(SMART App Launch 2.2, "CORS support"). A browser's own credentials are never asked for: what opens records is
the token, which a page has to hold.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.web.guard import Header

MAX_ORIGIN: Final = 512

Origins = Callable[[str], Awaitable[bool]]
"""Whether pages of an origin, as a browser writes it, may read what tokens open."""

_ASKED: Final = b"Accept, Authorization, Content-Type, DPoP, If-Match, If-None-Exist, If-None-Match, Prefer"
PREFLIGHT: Final[tuple[Header, ...]] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", _ASKED),
    (b"access-control-max-age", b"600"),
)
EXPOSED: Final[Header] = (
    b"access-control-expose-headers",
    b"Consent-Notice, Content-Location, ETag, Last-Modified, Ledger-Entry, Location, WWW-Authenticate",
)


async def nobody(_: str) -> bool:
    return False


async def sharing(origin: bytes, origins: Origins, *, public: bool, preflight: bool) -> list[Header]:
    """The headers that let a page of `origin` read an answer; none if it may not.

    Raises what `origins` raises.
    """
    if public:
        allowed = b"*"
    elif len(origin) <= MAX_ORIGIN and origin.isascii() and await origins(origin.decode()):
        allowed = origin
    else:
        return []
    return [(b"access-control-allow-origin", allowed), *(PREFLIGHT if preflight else (EXPOSED,))]
