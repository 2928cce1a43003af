"""The private JWKs of the gateway's own issuer: EC P-256 for access tokens, RSA for id_tokens.

They are for ES256 and RS256; their form is that of RFC 7518 section 6. A `kid` is the RFC 7638 thumbprint,
and no key is made whose `kid` begins with a dash: in a command it would be read as an option.
Tokens are signed elsewhere; here the keys are made and checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.core.canon import Json, b64url, canonical, sha256, unb64url

_FIELDS = {"kty", "crv", "x", "y", "d", "kid", "alg", "use"}
_BYTES = 32
_RSA_FIELDS = {"kty", "n", "e", "d", "p", "q", "dp", "dq", "qi", "kid", "alg", "use"}
_RSA_NUMBERS = ("d", "p", "q", "dp", "dq", "qi", "e", "n")
_RSA_BITS = 2048  # RFC 7518 section 3.3; an id_token is believed for an hour
_RSA_EXPONENT = 65537


def new_issuer_jwk() -> str:
    """A fresh private JWK as one line of JSON."""
    return _new(lambda: _jwk(ec.generate_private_key(ec.SECP256R1())))


def check_issuer_jwk(text: str) -> str:
    """`text`, if it is a private JWK as `new_issuer_jwk` makes it: every field is that of its key.

    Raises ValueError otherwise, without quoting the text.
    """
    found = _members(text)
    if set(found) != _FIELDS or not isinstance(found["d"], str):
        raise ValueError("the key is not a private EC JWK")
    secret = int.from_bytes(unb64url(found["d"]))
    if found != _jwk(ec.derive_private_key(secret, ec.SECP256R1())):
        raise ValueError("the parts of the key do not belong together")
    return text


def new_openid_jwk() -> str:
    """A fresh private RSA JWK as one line of JSON."""
    return _new(lambda: _rsa_jwk(rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)))


def check_openid_jwk(text: str) -> str:
    """`text`, if it is a private JWK as `new_openid_jwk` makes it, of 2048 bits or more.

    Raises ValueError otherwise, without quoting the text.
    """
    found = _members(text)
    if set(found) != _RSA_FIELDS or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("the key is not a private RSA JWK")
    d, p, q, dp, dq, qi, e, n = (int.from_bytes(unb64url(found[name])) for name in _RSA_NUMBERS)
    numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n))
    if n.bit_length() < _RSA_BITS or found != _rsa_jwk(numbers.private_key()):
        raise ValueError("the parts of the key do not belong together")
    return text


def _new(draw: Callable[[], dict[str, Json]]) -> str:
    while str((jwk := draw())["kid"]).startswith("-"):
        pass
    return json.dumps(jwk)


def _members(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError("the key is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("the key is not a JWK")
    return found


def _rsa_jwk(key: rsa.RSAPrivateKey) -> dict[str, Json]:
    numbers = key.private_numbers()
    whole = numbers.public_numbers
    public: dict[str, Json] = {"e": _shortest(whole.e), "kty": "RSA", "n": _shortest(whole.n)}
    private: dict[str, Json] = {
        "d": _shortest(numbers.d),
        "p": _shortest(numbers.p),
        "q": _shortest(numbers.q),
        "dp": _shortest(numbers.dmp1),
        "dq": _shortest(numbers.dmq1),
        "qi": _shortest(numbers.iqmp),
    }
    return public | private | {"kid": b64url(sha256(canonical(public))), "alg": "RS256", "use": "sig"}


def _shortest(value: int) -> str:
    """Base64urlUInt (RFC 7518 section 2): no zero in front."""
    return b64url(value.to_bytes((value.bit_length() + 7) // 8))


def _jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, Json]:
    numbers = key.private_numbers()
    point = numbers.public_numbers
    public: dict[str, Json] = {"crv": "P-256", "kty": "EC", "x": _number(point.x), "y": _number(point.y)}
    thumbprint = b64url(sha256(canonical(public)))
    return public | {"d": _number(numbers.private_value), "kid": thumbprint, "alg": "ES256", "use": "sig"}


def _number(value: int) -> str:
    return b64url(value.to_bytes(_BYTES))
