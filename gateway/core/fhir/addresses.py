"""Addresses inside records: what names the upstream becomes ours, what leads inside the hospital goes.

Absolute references, attachment addresses, `meta.source`, narrative: any string may carry one. Rewriting is
done in the tree, on whole strings, never by scanning text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from gateway.core.fhir.codec import Tree

Place = tuple["str | int", ...]
"""The keys and indexes that lead to a value in a resource."""


@dataclass(frozen=True)
class Bases:
    """Base addresses without a trailing slash: where clients find this server, and where it is."""

    public: str
    upstream: str

    @cached_property
    def both(self) -> tuple[str, str]:
        return (self.public, self.upstream)

    @cached_property
    def upstream_origin(self) -> str:
        parts = urlsplit(self.upstream)
        return f"{parts.scheme}://{parts.netloc}"


def may_hold_addresses(raw: bytes, bases: Bases) -> bool:
    """Quickly no for most resources. `\\/` and `\\u` could spell an address in another way: maybe."""
    return b'"url"' in raw or b"\\u" in raw or b"\\/" in raw or bases.upstream_origin.encode() in raw


def addresses(tree: dict[str, Tree], bases: Bases) -> Iterator[tuple[Place, str | None]]:
    """Strings that hold an address of the upstream, rewritten to ours; attachment addresses that lead
    elsewhere inside the hospital, or carry their own permission (a presigned URL), left out."""
    origin, public_origin = bases.upstream_origin, bases.public
    for place, text in _strings(tree):
        if bases.upstream in text:
            yield place, text.replace(bases.upstream, bases.public).replace(origin, public_origin)
        elif origin in text or (_is_attachment(place) and _leads_inside(text, bases)):
            yield place, None


def _strings(tree: Tree) -> Iterator[tuple[Place, str]]:
    todo: list[tuple[Place, Tree]] = [((), tree)]
    while todo:
        place, node = todo.pop()
        for key, value in node.items() if type(node) is dict else enumerate(node):
            if type(value) is str:
                if "://" in value:
                    yield (*place, key), value
            elif type(value) is dict or type(value) is list:
                todo.append(((*place, key), value))


def _is_attachment(place: Place) -> bool:
    """Whether an address is there to be fetched, and not a name: an extension's, a definition's own."""
    named = any(step in ("extension", "modifierExtension") for step in place[-3:-1])
    return place[-1] == "url" and len(place) > 1 and not named


_PRIVATE_NAME = re.compile(
    r"(?:[^.:]*|.*\.(?:internal|local|localhost|lan|intranet|home|corp))\Z", re.IGNORECASE
)
_PRIVATE_NUMBER = re.compile(r"(?:127|10|0|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.[\d.]+\Z|.*:.*\Z")


def _leads_inside(text: str, bases: Bases) -> bool:
    """Whether an attachment's absolute address names an internal host or carries its own permission."""
    if text.startswith(bases.public + "/"):
        return False
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return True
    if parts.scheme not in ("http", "https") or parts.query or "@" in parts.netloc:
        return True
    return bool(_PRIVATE_NAME.fullmatch(host) or _PRIVATE_NUMBER.fullmatch(host))
