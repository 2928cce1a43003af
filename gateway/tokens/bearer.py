"""The token of a request, out of its Authorization header and nowhere else (RFC 6750 2.1, RFC 9449 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.errors import Scheme, Unauthenticated

_TOKEN = re.compile(rb"(?:[Bb][Ee][Aa][Rr][Ee][Rr]|([Dd][Pp][Oo][Pp])) ([A-Za-z0-9._~+/-]+=*)")
_BEARER_FORM = "The Authorization header is not of the form: Bearer <token>."


class Presented(NamedTuple):
    """A token as it was sent: `with_proof` by the scheme DPoP, else as a bearer token."""

    text: str
    with_proof: bool


def presented(values: Sequence[bytes]) -> Presented:
    """The token in `values`, the values of all Authorization headers of one request.

    Raises `Unauthenticated`: without an OAuth error code if there is no such header (RFC 6750
    section 3.1), with `invalid_token` if there are several or the one is anything but
    `Bearer <b64token>` or `DPoP <b64token>` with a single space.
    """
    if not values:
        raise Unauthenticated("An access token is needed.", oauth_error=None)
    if len(values) > 1:
        raise Unauthenticated("There is more than one Authorization header.")
    match = _TOKEN.fullmatch(values[0])
    if match is None:
        raise Unauthenticated(_BEARER_FORM)
    return Presented(match[2].decode("ascii"), match[1] is not None)


def scheme_of(values: Iterable[bytes]) -> Scheme:
    """The scheme of the token in `values`, sound or not; Bearer if there is none."""
    return "DPoP" if any(value[:5].lower() == b"dpop " for value in values) else "Bearer"


def bearer_of(values: Sequence[bytes]) -> str:
    """As `presented`, where only a bearer token will do."""
    text, with_proof = presented(values)
    if with_proof:
        raise Unauthenticated(_BEARER_FORM)
    return text
