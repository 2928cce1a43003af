"""Client assertions: how an asymmetric client proves who it is (RFC 7523 section 3; SMART App Launch 2.2,
"Client Authentication: Asymmetric").

Header and claims come in decoded but not believed: the caller reads whose they say they are, the keys
they ask for, verifies the signature, reads the claims, and lets each `jti` pass once. Every failure is
the one error invalid_client with status 400, so that a guess learns nothing from the kind of its failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.core.smart import kinds
from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import FITS
from gateway.core.smart.issuers import REFUSED_PARAMETERS
from gateway.errors import OAuthError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 section 2.2
ALGORITHMS = tuple(FITS)
MAX_LIFETIME_S = 300
# How far the client's clock may be ahead. It is not granted to `exp` in the past, as for access tokens.
SKEW_S = 60


class Key(Protocol):
    """What is asked of a key of a client's set; `id` is its `kid`."""

    @property
    def id(self) -> str | None: ...
    @property
    def kty(self) -> str: ...
    @property
    def curve(self) -> str | None: ...
    @property
    def algorithm(self) -> str | None: ...


K = TypeVar("K", bound=Key)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which key verifies an assertion. `jwks_uris` are where it may be; none: among `Client.keys`."""

    algorithm: str
    key_id: str
    jwks_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assertion:
    """A valid assertion. Its `jti` must be new for the client, and be remembered until `expires_at_s`."""

    client: str
    jti: str
    expires_at_s: int


def claimed_client(claims: Mapping[str, object], client_id: str | None = None) -> str:
    """The client that an assertion says it is of, to look it up by. Raises `OAuthError` invalid_client.

    `client_id` is the request's parameter, which may stand beside an assertion but not against it
    (RFC 7521 section 4.2).
    """
    name = _read("iss", kinds.client, claims)
    if client_id not in (None, name):
        raise refusal("The client_id is not the issuer of the assertion.")
    return name


def wanted_key(header: Mapping[str, object], client: Client) -> Wanted:
    """The key that `header` asks for, of those `client` registered. Raises `OAuthError` invalid_client."""
    if client.auth_method != "private_key_jwt":
        raise refusal("The client is not registered for private_key_jwt.")
    if header.get("typ") != "JWT":
        raise refusal("The assertion's header does not say typ JWT.")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise refusal(f"The assertion's algorithm (alg) is not one of {', '.join(ALGORITHMS)}.")
    for name in REFUSED_PARAMETERS:
        if name in header and name != "jku":
            raise refusal(f"The assertion's header has the parameter {name}, which is not accepted.")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= 255:
        raise refusal("The assertion's key id (kid) is not a short string.")
    return Wanted(algorithm, key_id, _addresses(header, client))


def choose_key(key_sets: Iterable[Sequence[K]], wanted: Wanted) -> K:
    """The single key that fits `wanted`: none or several is a failure. Raises `OAuthError` invalid_client.

    There is a set for each of the client's addresses. They may publish the same key, but not two.
    """
    kty, curve = FITS[wanted.algorithm]
    chosen: K | None = None
    for keys in key_sets:
        fitting = [key for key in keys if key.id == wanted.key_id and (key.kty, key.curve) == (kty, curve)]
        if len(fitting) > 1 or (fitting and chosen not in (None, fitting[0])):
            raise refusal("Several of the client's keys have the assertion's key id (kid).")
        chosen = fitting[0] if fitting else chosen
    if chosen is None or chosen.algorithm not in (None, wanted.algorithm):
        raise refusal("The client has no key that fits the assertion's header.")
    return chosen


def read_assertion(
    claims: Mapping[str, object], client: Client, audiences: Set[str], now_s: int
) -> Assertion:
    """The assertion of verified `claims` at `now_s`. Raises `OAuthError` invalid_client.

    `audiences` are the addresses of the token endpoint, compared character by character.
    """
    for name in ("iss", "sub"):
        if _read(name, kinds.client, claims) != client.id:
            raise refusal(f"The assertion's claim {name} is not the client.")
    # Alone, as whoever else is named could send it on to here.
    if _read("aud", _sole, claims) not in audiences:
        raise refusal("The assertion's claim aud is not the token endpoint.")
    return Assertion(client.id, _read("jti", kinds.name, claims), _expiry(claims, now_s))


def refusal(text: str) -> OAuthError:
    """The one answer to any assertion that fails, also for what only the caller can see."""
    return OAuthError("invalid_client", text, 400)


def _addresses(header: Mapping[str, object], client: Client) -> tuple[str, ...]:
    """Where the key may be: at `jku` if the header has it and the client registered it, else anywhere."""
    if "jku" not in header:
        return client.jwks_uris
    jku = header["jku"]
    if not isinstance(jku, str) or jku not in client.jwks_uris:
        raise refusal("The assertion's jku is not an address that the client registered.")
    return (jku,)


def _expiry(claims: Mapping[str, object], now_s: int) -> int:
    expires = _read("exp", kinds.seconds, claims)
    if expires <= now_s:
        raise refusal("The assertion's claim exp is past.")
    if expires > now_s + MAX_LIFETIME_S + SKEW_S:
        raise refusal(f"The assertion's claim exp is more than {MAX_LIFETIME_S} seconds ahead.")
    for name in ("iat", "nbf"):
        if name in claims and _read(name, kinds.seconds, claims) > min(now_s + SKEW_S, expires):
            raise refusal(f"The assertion's claim {name} is in the future.")
    if "iat" in claims and expires - _read("iat", kinds.seconds, claims) > MAX_LIFETIME_S + SKEW_S:
        raise refusal("The assertion's claim iat is too long before exp.")
    return expires


def _sole(value: object) -> str:
    texts = kinds.texts(value)
    if len(texts) != 1:
        raise kinds.Wrong("is not one audience alone")
    return texts[0]


_T = TypeVar("_T")


def _read(name: str, kind: Callable[[object], _T], claims: Mapping[str, object]) -> _T:
    if name not in claims:
        raise refusal(f"The assertion's claim {name} is missing.")
    try:
        return kind(claims[name])
    except kinds.Wrong as wrong:
        raise refusal(f"The assertion's claim {name} {wrong}.") from wrong
