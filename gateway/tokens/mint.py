"""Access tokens of the gateway's own issuer (RFC 9068), and the key set that verifies them.

What a token may say is for the authorization server to decide; here it is put into form and signed.
The clock and the token's id come in as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

from jwcrypto.common import JWException, json_encode
from jwcrypto.jwk import JWK

from gateway.core.smart.claims import NEEDED
from gateway.core.smart.issuers import DAY_S
from gateway.tokens.signature import MIN_RSA_BITS, blank_jws

# The algorithm of a key, by its type and curve (RFC 7518 section 3.1, RFC 8037 section 3.1).
_ALGORITHMS: Mapping[tuple[str | None, str | None], str] = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
    ("RSA", None): "RS256",
}
_MEMBERS = frozenset({"kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi"})
_OWN = ("iss", "iat", "exp", "jti")


class Minter:
    """Signs tokens of one issuer with one private key, named by its thumbprint (RFC 7638)."""

    def __init__(self, private_jwk: Mapping[str, str], issuer: str) -> None:
        """`private_jwk` is a JWK with its private members. Raises `ValueError`."""
        algorithm = _ALGORITHMS.get((private_jwk.get("kty"), private_jwk.get("crv")))
        if algorithm is None or "d" not in private_jwk:
            raise ValueError("a signing key is a private EC, Ed25519 or RSA key")
        key = _private_key(private_jwk)
        self.issuer = issuer
        self.algorithm = algorithm
        self.key_id: str = key.thumbprint()
        self._key = key

    def mint(self, claims: Mapping[str, object], *, now_s: int, lifetime_s: int, jti: str) -> str:
        """A signed compact token of `claims` with `iss`, `iat`, `exp` and `jti`. Raises `ValueError`.

        `claims` holds the other claims that every access token needs: aud, sub, client_id, scope.
        """
        if taken := [name for name in _OWN if name in claims]:
            raise ValueError(f"the minter sets {', '.join(taken)} itself")
        if not 0 < lifetime_s <= DAY_S:
            raise ValueError(f"a token lives between 1 and {DAY_S} seconds")
        whole = {**claims, "iss": self.issuer, "iat": now_s, "exp": now_s + lifetime_s, "jti": jti}
        if missing := [row.name for row in NEEDED if row.name not in whole]:
            raise ValueError(f"an access token needs {', '.join(missing)}")
        return self._sign(json_encode(whole))

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set that verifies these tokens (RFC 7517)."""
        public: dict[str, str] = self._key.export_public(as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}]}

    def _sign(self, payload: str) -> str:
        jws = blank_jws(payload)
        jws.allowed_algs = [self.algorithm]
        header = {"alg": self.algorithm, "kid": self.key_id, "typ": "at+jwt"}
        jws.add_signature(self._key, protected=json_encode(header))
        compact: str = jws.serialize(compact=True)
        return compact


def _private_key(members: Mapping[str, str]) -> JWK:
    try:
        key = JWK(**{name: value for name, value in members.items() if name in _MEMBERS})
        private = key.get_op_key("sign", key.get("crv"))
    except (JWException, TypeError, ValueError) as cause:
        raise ValueError("the signing key is not a sound private JWK") from cause
    if key["kty"] == "RSA" and private.key_size < MIN_RSA_BITS:
        raise ValueError(f"an RSA signing key has at least {MIN_RSA_BITS} bits")
    return key
