"""The private JWK of the gateway's own token issuer: EC P-256, for ES256 (RFC 7518 section 6.2).

Its `kid` is the RFC 7638 thumbprint. Tokens are signed elsewhere; here the key is made and checked.
"""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.core.canon import Json, b64url, canonical, sha256, unb64url

_FIELDS = {"kty", "crv", "x", "y", "d", "kid", "alg", "use"}
_BYTES = 32


def new_issuer_jwk() -> str:
    """A fresh private JWK as one line of JSON."""
    return json.dumps(_jwk(ec.generate_private_key(ec.SECP256R1())))


def check_issuer_jwk(text: str) -> str:
    """`text`, if it is a private JWK as `new_issuer_jwk` makes it: every field is that of its key.

    Raises ValueError otherwise, without quoting the text.
    """
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError("the key is not JSON") from None
    if not isinstance(found, dict) or set(found) != _FIELDS or not isinstance(found["d"], str):
        raise ValueError("the key is not a private EC JWK")
    secret = int.from_bytes(unb64url(found["d"]))
    if found != _jwk(ec.derive_private_key(secret, ec.SECP256R1())):
        raise ValueError("the parts of the key do not belong together")
    return text


def _jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, Json]:
    numbers = key.private_numbers()
    point = numbers.public_numbers
    public: dict[str, Json] = {"crv": "P-256", "kty": "EC", "x": _number(point.x), "y": _number(point.y)}
    thumbprint = b64url(sha256(canonical(public)))
    return public | {"d": _number(numbers.private_value), "kid": thumbprint, "alg": "ES256", "use": "sig"}


def _number(value: int) -> str:
    return b64url(value.to_bytes(_BYTES))
