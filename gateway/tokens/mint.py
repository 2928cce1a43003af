"""Access tokens of the gateway's own issuer (RFC 9068), and the key set that verifies them.

What a token may say is for the authorization server to decide; here it is put into form and signed.
The clock and the token's id come in as arguments, and so does the key: the one that signs at the time.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.smart.claims import NEEDED
from gateway.core.smart.issuers import DAY_S
from gateway.tokens.own import OwnKeys, lone_key

_OWN = ("iss", "iat", "exp", "jti")


class Minter:
    """Signs tokens of one issuer, always by one algorithm."""

    def __init__(self, keys: Mapping[str, str] | OwnKeys, issuer: str) -> None:
        """`keys` are those in files, or one JWK with its private members. Raises `ValueError`."""
        self.keys = keys if isinstance(keys, OwnKeys) else lone_key(keys)
        self.issuer = issuer

    @property
    def algorithm(self) -> str:
        return self.keys.algorithm

    @property
    def key_id(self) -> str:
        """The id of the key that signs, as of the last look at the keys."""
        return self.keys.key_id

    def mint(self, claims: Mapping[str, object], *, now_s: int, lifetime_s: int, jti: str) -> str:
        """A signed compact token of `claims` with `iss`, `iat`, `exp` and `jti`. Raises `ValueError`, and
        `StateUnavailable` if the keys cannot be read.

        `claims` holds the other claims that every access token needs: aud, sub, client_id, scope.
        """
        if taken := [name for name in _OWN if name in claims]:
            raise ValueError(f"the minter sets {', '.join(taken)} itself")
        if not 0 < lifetime_s <= DAY_S:
            raise ValueError(f"a token lives between 1 and {DAY_S} seconds")
        whole = {**claims, "iss": self.issuer, "iat": now_s, "exp": now_s + lifetime_s, "jti": jti}
        if missing := [row.name for row in NEEDED if row.name not in whole]:
            raise ValueError(f"an access token needs {', '.join(missing)}")
        return self.keys.signer(now_s).sign(whole, "at+jwt")

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set that verifies these tokens now (RFC 7517). Raises `StateUnavailable`."""
        return self.keys.public_jwks()
