"""Addresses inside records: what names the upstream becomes ours, what leads inside the hospital goes.

Absolute references, attachment addresses, `meta.source`, narrative: any string may carry one. Rewriting is
done in the tree, on whole strings, never by scanning text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from gateway.core.fhir.scan import FETCHED, Link, Place, place_of


@dataclass(frozen=True)
class Bases:
    """Base addresses without a trailing slash: where clients find this server, and where it is."""

    public: str
    upstream: str

    @cached_property
    def both(self) -> tuple[str, str]:
        return (self.public, self.upstream)

    @cached_property
    def upstream_host(self) -> str:
        """In lower case; every spelling of an address of the upstream has it in it."""
        return urlsplit(self.upstream).hostname or ""

    @cached_property
    def upstream_host_bytes(self) -> bytes:
        return self.upstream_host.encode()

    @cached_property
    def upstream_origin(self) -> re.Pattern[str]:
        """Scheme and authority of the upstream in any case, its scheme's own port said or not, with or
        without a user (RFC 3986, 6.2.2.1 and 6.2.3)."""
        return _origin(self.upstream)

    @cached_property
    def upstream_base(self) -> re.Pattern[str]:
        path = re.escape(urlsplit(self.upstream).path)
        return re.compile(self.upstream_origin.pattern + (f"{path}(?![A-Za-z0-9_-])" if path else ""))


_PORTS: Final = {"http": 80, "https": 443}


def _origin(address: str) -> re.Pattern[str]:
    parts = urlsplit(address)
    own = _PORTS.get(parts.scheme)
    host = parts.netloc.rpartition("@")[2].removesuffix(f":{own}")
    port = f"(?::{own})?" if parts.port in (None, own) else ""
    return re.compile(
        rf"(?i:{parts.scheme}://(?:[^\s/?#@]*@)?{re.escape(host)}{port}(?![a-z0-9_-]|\.[a-z0-9]|:\d))"
    )


def may_hold_addresses(raw: bytes, bases: Bases) -> bool:
    """Quickly no for most resources. `\\/` and `\\u` could spell an address in another way: maybe."""
    return _ESCAPE.search(raw) is not None or b'rl"' in raw or may_name_upstream(raw, bases)


_ESCAPE = re.compile(rb"\\[u/]")


def may_name_upstream(raw: bytes, bases: Bases) -> bool:
    """Quickly whether the upstream's host is in a JSON document that escapes neither letters nor slashes."""
    if bases.upstream_host_bytes in raw.lower():
        return True
    return not raw.isascii() and any(letter in raw for letter in _LIKE_ASCII)


# The letters beyond ASCII that are an i and a k in lower case.
_LIKE_ASCII: Final = ("\u0130".encode(), "\u212a".encode())


def addresses(texts: Iterable[tuple[Link, str]], bases: Bases) -> Iterator[tuple[Place, str | None]]:
    """Strings that hold an address of the upstream, rewritten to ours; addresses to fetch from that lead
    elsewhere inside the hospital, carry their own permission (a presigned URL) or are malformed, left out."""
    for link, text in texts:
        fetched = _is_fetched(link)
        if bases.upstream_host in text.lower() and bases.upstream_origin.search(text):
            ours = _rewritten(text, bases)
            kept = ours is not None and not (fetched and not _is_ours(ours, bases))
            yield place_of(link), ours if kept else None
        elif fetched and not _may_be_fetched(text, bases):
            yield place_of(link), None


def _rewritten(text: str, bases: Bases) -> str | None:
    """None if it names another part of the upstream than its FHIR base."""
    if not bases.upstream_base.search(text):
        return None
    ours = bases.upstream_base.sub(lambda _: bases.public, text)
    return bases.upstream_origin.sub(lambda _: bases.public, ours)


def _is_fetched(link: Link) -> bool:
    """Whether an address is there to be fetched, and not a name: an extension's, a definition's own."""
    place = place_of(link)
    if place[-1] not in FETCHED or len(place) == 1:
        return False
    named = any(step in ("extension", "modifierExtension") for step in place[-3:-1])
    return place[-1] == "valueUrl" or not named


def _is_ours(text: str, bases: Bases) -> bool:
    below = text == bases.public or text.startswith(bases.public + "/")
    return below and _UNSIGNED.fullmatch(text) is not None


_UNSIGNED = re.compile(r"[^\s\\?#]*")
_ABSOLUTE = re.compile(r"(?i:https?)://([A-Za-z0-9.\-]+)(?::\d{1,5})?(?:/[^\s\\?#]*)?")
_RELATIVE = re.compile(r"[A-Za-z0-9][^\s\\?#:]*")
_NAME_OR_DATA = re.compile(r"(?i:urn|data):[^\s]*")


def _may_be_fetched(text: str, bases: Bases) -> bool:
    """Whether an address is one of a public host, or below ours, and nothing in it (a query, a fragment, a
    user) could be a permission. What is not understood may not."""
    if _is_ours(text, bases) or _RELATIVE.fullmatch(text) or _NAME_OR_DATA.fullmatch(text):
        return True
    absolute = _ABSOLUTE.fullmatch(text)
    return absolute is not None and _is_public(absolute[1].lower().rstrip("."))


_PRIVATE_NAME = re.compile(
    r"[^.]*|.*\.(?:internal|local|localhost|localdomain|lan|intranet|private|home|corp|arpa)"
)
# What a browser takes for a number (WHATWG URL, host parsing): `127.1`, `0x7f000001`.
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_QUAD = re.compile(r"(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})")
_PRIVATE_QUAD = re.compile(
    r"(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\..*"
)


def _is_public(host: str) -> bool:
    if _NUMERIC.fullmatch(host):
        return _QUAD.fullmatch(host) is not None and _PRIVATE_QUAD.fullmatch(host) is None
    return _PRIVATE_NAME.fullmatch(host) is None
