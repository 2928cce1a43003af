"""The bearer token of a request, out of its Authorization header and nowhere else (RFC 6750 2.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.errors import Unauthenticated

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/-]+=*)")


def bearer_of(values: Sequence[bytes]) -> str:
    """The token in `values`, the values of all Authorization headers of one request.

    Raises `Unauthenticated`: without an OAuth error code if there is no such header (RFC 6750
    section 3.1), with `invalid_token` if there are several or the one is anything but
    `Bearer <b64token>` with a single space.
    """
    if not values:
        raise Unauthenticated("An access token is needed.", oauth_error=None)
    if len(values) > 1:
        raise Unauthenticated("There is more than one Authorization header.")
    match = _BEARER.fullmatch(values[0])
    if match is None:
        raise Unauthenticated("The Authorization header is not of the form: Bearer <token>.")
    return match[1].decode("ascii")
