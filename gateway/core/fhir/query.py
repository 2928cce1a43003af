"""Query strings and search forms as name-value pairs, and back.

Bytes are decoded exactly once, here: percent-escapes, `+` as a space, UTF-8. What a decoder could
read in two ways is refused: a broken escape, an empty or bare name, a control character, U+FFFD, more
than 100 pairs, or a pair over 8 KiB. What the names mean is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import BadRequest

MAX_PAIRS: Final = 100
MAX_PAIR_BYTES: Final = 8192

Pair = tuple[str, str]

# The printable ASCII that may stand in a query (RFC 3986 section 3.4), and what clients send besides,
# unescaped, that nobody reads differently: " < > [ \ ] ^ ` { | }. Neither # nor space is among them.
_RAW = re.compile(rb"[!\"$-~]*")
_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Controls, and U+FFFD: what a decoder somewhere before us made of bytes it did not understand.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")
_NAME = re.compile(r"[_A-Za-z][A-Za-z0-9_-]*(:[A-Za-z-]+)?")
# Wide enough to recognise chains, _has and _include, which are refused by name and not as nonsense.
_KNOWN_SHAPE = re.compile(r"[_A-Za-z][A-Za-z0-9_:.-]*")


def parse_pairs(raw: bytes) -> tuple[Pair, ...]:
    """The pairs of an `application/x-www-form-urlencoded` text, in order. Raises BadRequest."""
    if not raw:
        return ()
    parts = raw.split(b"&")
    if len(parts) > MAX_PAIRS:
        raise BadRequest("There are too many search parameters.")
    return tuple(_pair(part) for part in parts)


def format_pairs(pairs: Iterable[Pair]) -> str:
    """The query string that `parse_pairs` reads as `pairs`; `/ : | , $` stay readable."""
    return "&".join(f"{quote(n, safe=':')}={quote(v, safe='/:|,$')}" for n, v in pairs)


def is_name(name: str) -> bool:
    """Whether `name` is `name` or `name:modifier`, nothing chained."""
    return _NAME.fullmatch(name) is not None


def _pair(raw: bytes) -> Pair:
    if len(raw) > MAX_PAIR_BYTES:
        raise BadRequest("A search parameter is too long.")
    if _RAW.fullmatch(raw) is None or _PERCENT.search(raw):
        raise BadRequest("The query holds characters that must be percent-encoded.")
    name, equals, value = raw.partition(b"=")
    if not equals:
        raise BadRequest("Search parameters are written as name=value.")
    decoded = _decode(name), _decode(value)
    if _KNOWN_SHAPE.fullmatch(decoded[0]) is None:
        raise BadRequest("A search parameter has a name that FHIR does not allow.")
    if not decoded[1]:
        raise BadRequest("A search parameter has no value.")
    return decoded


def _decode(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise BadRequest("The query is not UTF-8.") from wrong
    if _FORBIDDEN.search(text):
        raise BadRequest("The query holds control characters.")
    return text
