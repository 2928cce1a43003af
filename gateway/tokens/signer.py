"""One private key that signs compact tokens, named by its thumbprint (RFC 7638).

Its algorithm follows from its kind, so that no key signs in two ways. What is signed is for the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jwcrypto.common import JWException, json_encode
from jwcrypto.jwk import JWK

from gateway.tokens.compact import read_json
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


class Signer:
    """A private key, and the one algorithm it signs with."""

    def __init__(self, private_jwk: Mapping[str, str]) -> None:
        """`private_jwk` is a JWK with its private members. Raises `ValueError`."""
        algorithm = _ALGORITHMS.get((private_jwk.get("kty"), private_jwk.get("crv")))
        if algorithm is None or "d" not in private_jwk:
            raise ValueError("a signing key is a private EC, Ed25519 or RSA key")
        self._key = _private_key(private_jwk)
        self.algorithm = algorithm
        self.key_id: str = self._key.thumbprint()

    def sign(self, claims: Mapping[str, object], typ: str | None = None) -> str:
        """`claims` as a compact JWS, with `typ` in its header if there is one."""
        jws = blank_jws(json_encode(claims))
        jws.allowed_algs = [self.algorithm]
        header = {"alg": self.algorithm, "kid": self.key_id, **({} if typ is None else {"typ": typ})}
        jws.add_signature(self._key, protected=json_encode(header))
        compact: str = jws.serialize(compact=True)
        return compact

    def public_jwk(self) -> dict[str, str]:
        """The key that verifies what this one signs (RFC 7517)."""
        public: dict[str, str] = self._key.export_public(as_dict=True)
        return {**public, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}


def read_signer(path: Path) -> Signer:
    """The key of a file with a private JWK. Raises `ValueError`, `OSError`."""
    members = read_json(path.read_bytes())
    if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
        raise ValueError("the signing key is not a JWK")
    return Signer(members)


def _private_key(members: Mapping[str, str]) -> JWK:
    try:
        key = JWK(**{name: value for name, value in members.items() if name in _MEMBERS})
        private = key.get_op_key("sign", key.get("crv"))
    except (JWException, TypeError, ValueError) as cause:
        raise ValueError("the signing key is not a sound private JWK") from cause
    if key["kty"] == "RSA" and private.key_size < MIN_RSA_BITS:
        raise ValueError(f"an RSA signing key has at least {MIN_RSA_BITS} bits")
    return key
