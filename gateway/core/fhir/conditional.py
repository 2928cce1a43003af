"""Conditional reads, answered from what is released (FHIR http.html, cread; RFC 9110 section 13).

Our entity tags are digests of the released bytes: two readers who may see different parts of a record get
different tags, and a tag says nothing about what was withheld. The upstream never sees the condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.core.canon import b64url


def entity_tag(digest: bytes) -> str:
    """The opaque part of the weak entity tag of a released body, from its SHA-256."""
    return b64url(digest[:16])


def modified_s(last_updated: str | None) -> int | None:
    """`meta.lastUpdated` (an instant) in whole seconds since the epoch; None if it is not one."""
    if not last_updated:
        return None
    try:
        moment = datetime.fromisoformat(last_updated)
        return int(moment.timestamp()) if moment.tzinfo is not None and 1 < moment.year < 9999 else None
    except (ValueError, OverflowError):
        return None


def http_date(at_s: int) -> str:
    """RFC 9110 section 5.6.7, IMF-fixdate."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def unchanged(tag: str, at_s: int | None, none_match: Sequence[str], modified_since_s: int | None) -> bool:
    """Whether the client has it already; If-None-Match goes before If-Modified-Since (section 13.2.2)."""
    if none_match:
        return tag in none_match or "*" in none_match
    return modified_since_s is not None and at_s is not None and at_s <= modified_since_s
