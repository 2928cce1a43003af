"""Canonical bytes: one spelling of a value, and the digests and base64 forms taken of it.

`canonical` is RFC 8785 (JCS) for what we author ourselves: null, booleans, integers, strings, lists
and objects. Floats are refused, so FHIR bodies do not pass through here: their number text is kept
by the FHIR codec. Every decoder accepts exactly one spelling, so equal values have equal bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

_plain = msgspec.json.Encoder().encode
"""RFC 8785 bytes of a string, boolean, integer or null, and of a list of strings."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")

MAX_SAFE_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 7493 section 2.2)."""


def canonical(value: Json) -> bytes:
    """RFC 8785 bytes of `value`. Raises ValueError for what has no exact canonical form.

    >>> canonical({"b": [1, True], "a": "é"})
    b'{"a":"\\xc3\\xa9","b":[1,true]}'
    """
    try:
        return _bytes(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_canonical(data: bytes) -> Json:
    """The value whose canonical form is exactly `data`; ValueError if there is none."""
    try:
        value: Json = json.loads(data.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if canonical(value) != data:
        raise ValueError("not in canonical form")
    return value


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def sha256_text(data: bytes) -> str:
    """The digest as a ledger fact spells it: `sha256:` and 64 lower-case hexadecimal digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode()


def b64url_each(parts: Iterable[bytes]) -> list[bytes]:
    """`b64url` of each part, as ASCII bytes; much quicker for many."""
    return b"".join(map(binascii.b2a_base64, parts)).translate(_URL_SAFE, b"=").splitlines()


def unb64url(text: str) -> bytes:
    """The inverse of `b64url`; ValueError for padding, foreign characters and stray trailing bits."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def b64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4), as signed notes use it."""
    return binascii.b2a_base64(data, newline=False).decode()


def unb64(text: str) -> bytes:
    """The inverse of `b64`; ValueError for anything that `b64` would not have written."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if b64(data) != text:
        raise ValueError("not canonical base64")
    return data


def _bytes(value: Json) -> bytes:
    # Exact types: an IntEnum or a str subclass may print as something other than its value.
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return _plain(value)
    if type(value) is int:
        return _integer(value)
    if type(value) is list:
        return _array(value)
    if type(value) is dict:
        return _object(value)
    raise ValueError(f"{kind.__name__} has no canonical form")


def _integer(value: int) -> bytes:
    if not -MAX_SAFE_INT <= value <= MAX_SAFE_INT:
        raise ValueError("integer beyond 2^53 - 1")
    return _plain(value)


def _array(values: list[Json]) -> bytes:
    if set(map(type, values)) == {str}:
        return _plain(values)
    return b"[%b]" % b",".join(map(_bytes, values))


def _object(value: dict[str, Json]) -> bytes:
    members = [b"%b:%b" % (_plain(name), _bytes(value[name])) for name in _in_order(value)]
    return b"{%b}" % b",".join(members)


def _in_order(names: Iterable[str]) -> list[str]:
    # RFC 8785 section 3.2.3 sorts by UTF-16 code units. Code points give another order only above
    # U+FFFF, so that ASCII names, nearly all there are, sort as they stand.
    try:
        ascii_only = "".join(names).isascii()
    except TypeError:
        raise ValueError("object keys are strings") from None
    return sorted(names) if ascii_only else sorted(names, key=lambda name: name.encode("utf-16-be"))
