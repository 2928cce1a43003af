"""A compact JWS taken apart (RFC 7515 section 7.1), strictly: one spelling per token.

Three parts of base64url without padding or spare bits, a header and a payload that are JSON objects
in UTF-8 without repeated names. Nothing is verified here and nothing may be believed yet.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import jiter

from gateway.errors import Unauthenticated

MAX_BYTES = 16_384  # before any parsing; header lines of servers are shorter
MAX_DEPTH = 8

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Compact:
    """The parts of a token, decoded but not verified."""

    header: dict[str, object]
    claims: dict[str, object]
    signature: bytes


def split(token: str) -> Compact:
    """The three parts of `token`. Raises `Unauthenticated`, also for a JWE or a nested JWT."""
    if len(token) > MAX_BYTES:
        raise Unauthenticated(f"The token is longer than {MAX_BYTES} characters.")
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise Unauthenticated("The token is not three parts of base64url, as a signed JWT is.")
    header, claims, signature = (decode_base64url(part) for part in match.groups())
    return Compact(_object(header, "header"), _object(claims, "payload"), signature)


def decode_base64url(text: str) -> bytes:
    """The bytes of unpadded base64url; `text` must be the one encoding of them (RFC 4648 section 3.5)."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
    if urlsafe_b64encode(data).rstrip(b"=") != text.encode():
        raise Unauthenticated("The token has a part that is not base64url as it must be written.")
    return data


def read_json(data: bytes) -> object:
    """The value of JSON `data`: UTF-8, no repeated names, no NaN, at most 8 deep. Raises `ValueError`."""
    value: object = jiter.from_json(data, catch_duplicate_keys=True, allow_inf_nan=False, float_mode="float")
    _check_depth(value, MAX_DEPTH)
    return value


def _object(data: bytes, part: str) -> dict[str, object]:
    try:
        value = read_json(data)
    except ValueError as cause:
        raise Unauthenticated(f"The token's {part} is not JSON that is accepted.") from cause
    if not isinstance(value, dict):
        raise Unauthenticated(f"The token's {part} is not a JSON object.")
    return value


def _check_depth(value: object, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if left == 0:
        raise ValueError("the JSON is nested too deeply")
    for item in value.values() if isinstance(value, dict) else value:
        _check_depth(item, left - 1)
