"""Single sign-on: the id_token (OpenID Connect Core section 2), and the keys that verify what we sign.

An id_token tells an app who logged in, and opens nothing: it is no access token, and is not taken for one
(its header has no `typ`). RS256 is what every client can check (section 15.1). Clock and keys come in as
arguments; keys may change, and a new one is published for longer than a copy of the set counts before it
signs (`AHEAD_S`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.tokens.own import OwnKeys, lone_key

ALGORITHM: Final = "RS256"
LIFETIME_S: Final = 3600
JWKS: Final = "/auth/jwks"
FRESH_S: Final = 300
"""How long a copy of the key set counts: a retired key may be believed for so long after it is gone."""
AHEAD_S: Final = FRESH_S + 60
"""How long a new key is published before it signs: no copy without it counts any more, and a minute."""

Jwks = Mapping[str, Sequence[Mapping[str, str]]]


class Publishes(Protocol):
    """Signs tokens, and tells with what they are verified."""

    def public_jwks(self) -> Jwks:
        """A JWK set. Raises StateUnavailable."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who logged in, when, for which client. `user` is the address of the person's own resource, which is
    told to a client that was granted `fhirUser`; `nonce` is the client's."""

    client: str
    subject: str
    auth_time_s: int
    user: str | None = None
    nonce: str | None = None

    @property
    def claims(self) -> dict[str, object]:
        named = {"nonce": self.nonce, "fhirUser": self.user}
        return {
            "sub": self.subject,
            "aud": self.client,
            "auth_time": self.auth_time_s,
            **{name: value for name, value in named.items() if value is not None},
        }


class IdTokens:
    """Signs the id_tokens of one issuer, with the RSA key that signs at the time."""

    def __init__(self, keys: Mapping[str, str] | OwnKeys, issuer: str) -> None:
        """`keys` are those in files, or one JWK with its private members. Raises `ValueError`."""
        self._keys = keys if isinstance(keys, OwnKeys) else lone_key(keys)
        if self._keys.algorithm != ALGORITHM:
            raise ValueError("the key of id_tokens is an RSA key")
        self.issuer = issuer

    @property
    def key_id(self) -> str:
        """The id of the key that signs, as of the last look at the keys."""
        return self._keys.key_id

    def sign(self, login: Login, now_s: int) -> str:
        """The id_token of `login`, made at `now_s`, as a compact JWT. Raises StateUnavailable."""
        claims = {**login.claims, "iss": self.issuer, "iat": now_s, "exp": now_s + LIFETIME_S}
        return self._keys.signer(now_s).sign(claims)

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set that verifies these tokens now (RFC 7517). Raises StateUnavailable."""
        return self._keys.public_jwks()


def openid_routes(*signed: Publishes) -> list[Route]:
    """`GET /auth/jwks`: the public keys of all of them as one, as they are when asked, for anybody.

    Raises ValueError if two of them have a key of the same id: a `kid` names one key.
    """
    _united(signed)
    headers = {"Cache-Control": f"public, max-age={FRESH_S}", "X-Content-Type-Options": "nosniff"}

    async def jwks(_: Request) -> Response:
        return JSONResponse({"keys": _united(signed)}, headers=headers)

    return [cors.route(JWKS, {"GET": jwks}, cors.everyone)]


def _united(signed: Sequence[Publishes]) -> list[Mapping[str, str]]:
    keys = [key for each in signed for key in each.public_jwks()["keys"]]
    if len({key["kid"] for key in keys}) < len(keys):
        raise ValueError("two public keys have the same id")
    return keys
