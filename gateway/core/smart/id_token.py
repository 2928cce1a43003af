"""An id_token of another provider, read into who logged in there (OpenID Connect Core section 3.1.3.7).

It is believed for one log-in that we began: our nonce, our client alone, issued since. Nothing here is true
before the signature was verified; that is the caller's duty. Times are whole seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gateway.core.smart import kinds
from gateway.core.smart.issuers import read_key
from gateway.errors import Unauthenticated

SKEW_S: Final = 60
"""How far the provider's clock may differ. It is not granted to `exp` in the past, as for access tokens."""

T = TypeVar("T")
Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Expected:
    """What an id_token must say: whose it is, for which client, and the nonce of a log-in that was begun at
    `asked_s`. The person must have logged in at `auth_after_s` or later (0: any time)."""

    issuer: str
    client: str
    nonce: str = field(repr=False)
    asked_s: int
    auth_after_s: int = 0


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who logged in at the provider, when (None: it does not say), and how (`amr`, `acr`: OpenID Connect
    Core section 2). `claims` are all that the token says."""

    subject: str
    auth_time_s: int | None
    methods: frozenset[str]
    claims: Claims = field(repr=False)


def read_id_header(header: Mapping[str, object], algorithms: tuple[str, ...]) -> tuple[str, str | None]:
    """The `alg` and `kid` of an id_token's header. Raises `Unauthenticated`.

    A `typ` other than JWT says that it is something else: an access token, a logout token (RFC 8725
    section 3.11).
    """
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise Unauthenticated("The token's header says that it is no id_token (typ).")
    return read_key(header, algorithms)


def read_id_token(claims: Claims, expected: Expected, now_s: int) -> LoggedIn:
    """Who logged in, by verified `claims` at `now_s`. Raises `Unauthenticated`."""
    if _need("iss", kinds.text, claims) != expected.issuer:
        raise _refusal("iss", "is not the provider")
    # For us alone: whoever else is named could have sent it on to here.
    if _need("aud", kinds.texts, claims) != (expected.client,):
        raise _refusal("aud", "is not our client alone")
    if _may("azp", kinds.text, claims) not in (None, expected.client):
        raise _refusal("azp", "is not our client")
    if _need("nonce", kinds.text, claims) != expected.nonce:
        raise _refusal("nonce", "is not of this log-in")
    _check_times(claims, expected, now_s)
    return LoggedIn(
        _need("sub", kinds.name, claims),
        _auth_time(claims, expected, now_s),
        frozenset(_may("amr", kinds.texts, claims) or ())
        | frozenset(filter(None, [_may("acr", kinds.text, claims)])),
        claims,
    )


def _check_times(claims: Claims, expected: Expected, now_s: int) -> None:
    issued, expires = _need("iat", kinds.seconds, claims), _need("exp", kinds.seconds, claims)
    if expires <= now_s:
        raise _refusal("exp", "is past")
    if not expected.asked_s - SKEW_S <= issued <= now_s + SKEW_S:
        raise _refusal("iat", "is not of the time of this log-in")
    if (_may("nbf", kinds.seconds, claims) or 0) > now_s + SKEW_S:
        raise _refusal("nbf", "is in the future")


def _auth_time(claims: Claims, expected: Expected, now_s: int) -> int | None:
    """By our clock, where it differs from the provider's: never before what was asked for, or after now."""
    if not expected.auth_after_s and "auth_time" not in claims:
        return None
    at_s = _need("auth_time", kinds.seconds, claims)
    if not expected.auth_after_s - SKEW_S <= at_s <= now_s + SKEW_S:
        raise _refusal("auth_time", "is too long ago, or in the future")
    return min(max(at_s, expected.auth_after_s), now_s)


def _need(name: str, kind: Callable[[object], T], claims: Claims) -> T:
    if name not in claims:
        raise _refusal(name, "is missing")
    try:
        return kind(claims[name])
    except kinds.Wrong as wrong:
        raise _refusal(name, str(wrong)) from wrong


def _may(name: str, kind: Callable[[object], T], claims: Claims) -> T | None:
    return _need(name, kind, claims) if name in claims else None


def _refusal(name: str, what: str) -> Unauthenticated:
    return Unauthenticated(f"The token's claim {name} {what}.")
