"""Who holds a key: makes DPoP proofs, sound ones and, as asked, others; signed by `cryptography` alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from jwcrypto.jwk import JWK

from tests.tokens import forge


@dataclass(frozen=True)
class Holder:
    algorithm: str = "ES256"
    number: int = 0
    key: forge.PrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        made = forge.rsa_key if self.algorithm[0] in "RP" else self._made
        object.__setattr__(self, "key", made(self.number))

    @property
    def thumbprint(self) -> str:
        return str(JWK(**self.jwk).thumbprint())

    @property
    def jwk(self) -> dict[str, Any]:
        return forge.public_jwk(self.key, kid=None)

    def prove(
        self,
        method: str,
        address: str,
        now_s: int,
        token: str | None = None,
        *,
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A proof for this request; `header` and `claims` over its usual ones, None takes one out."""
        head = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk, **(header or {})}
        usual: dict[str, object] = {
            "jti": secrets.token_hex(8),
            "htm": method,
            "htu": address,
            "iat": now_s,
            "ath": None if token is None else forge.b64(sha256(token.encode()).digest()),
        }
        payload = {**usual, **claims}
        return forge.raw_token(self.key, self.algorithm, _json(head), _json(payload))

    def _made(self, number: int) -> forge.PrivateKey:
        return forge.private_key(self.algorithm, number)


def _json(members: Mapping[str, object]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()
