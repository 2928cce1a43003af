"""Single sign-on: the id_token (OpenID Connect Core section 2), and the keys that verify what we sign.

An id_token tells an app who logged in, and opens nothing: it is no access token, and is not taken for one
(its header has no `typ`). RS256 is what every client can check (section 15.1). Clock and keys come in as
arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jwcrypto.common import JWException, json_encode
from jwcrypto.jwk import JWK
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.tokens.signature import MIN_RSA_BITS, blank_jws

ALGORITHM: Final = "RS256"
LIFETIME_S: Final = 3600
JWKS: Final = "/auth/jwks"
FRESH_S: Final = 300
"""How long a copy of the key set counts: a retired key may be believed for so long after it is gone."""

Jwks = Mapping[str, Sequence[Mapping[str, str]]]


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
    """Signs the id_tokens of one issuer with one RSA key, named by its thumbprint (RFC 7638)."""

    def __init__(self, private_jwk: Mapping[str, str], issuer: str) -> None:
        """`private_jwk` is a JWK with its private members. Raises `ValueError`."""
        try:
            key = JWK(**private_jwk)
            bits = key.get_op_key("sign").key_size if private_jwk.get("kty") == "RSA" else 0
        except (JWException, TypeError, ValueError) as cause:
            raise ValueError("the key of id_tokens is not a sound private JWK") from cause
        if bits < MIN_RSA_BITS:
            raise ValueError(f"the key of id_tokens is an RSA key of {MIN_RSA_BITS} bits or more")
        self.issuer = issuer
        self.key_id: str = key.thumbprint()
        self._key = key

    def sign(self, login: Login, now_s: int) -> str:
        """The id_token of `login`, made at `now_s`, as a compact JWT."""
        claims = {**login.claims, "iss": self.issuer, "iat": now_s, "exp": now_s + LIFETIME_S}
        jws = blank_jws(json_encode(claims))
        jws.allowed_algs = [ALGORITHM]
        jws.add_signature(self._key, protected=json_encode({"alg": ALGORITHM, "kid": self.key_id}))
        compact: str = jws.serialize(compact=True)
        return compact

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set that verifies these tokens (RFC 7517)."""
        public: dict[str, str] = self._key.export_public(as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "alg": ALGORITHM, "use": "sig"}]}


def openid_routes(*key_sets: Jwks) -> list[Route]:
    """`GET /auth/jwks`: the public keys of all `key_sets` as one, for anybody.

    Raises ValueError if two of them have the same id: a `kid` names one key.
    """
    keys = [key for key_set in key_sets for key in key_set["keys"]]
    if len({key["kid"] for key in keys}) < len(keys):
        raise ValueError("two public keys have the same id")
    headers = {"Cache-Control": f"public, max-age={FRESH_S}", "X-Content-Type-Options": "nosniff"}

    async def jwks(_: Request) -> Response:
        return JSONResponse({"keys": keys}, headers=headers)

    return [cors.route(JWKS, {"GET": jwks}, cors.everyone)]
