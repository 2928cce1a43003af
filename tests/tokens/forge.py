"""Tokens of every make, sound and forged, signed by `cryptography` alone and byte for byte as asked.

It shares no code with what it tests: headers, payloads and JWKs are put together by hand.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.core.smart.issuers import IssuerRule
from gateway.core.values import Term

NOW_S = 1_800_000_000
ISSUER = "https://idp.example"
AUDIENCE = "https://gw.example/fhir"
TYPES = frozenset({"Observation", "Patient"})
RULE = IssuerRule(ISSUER, AUDIENCE, binding="lookup")
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "user-1",
    "client_id": "app-1",
    "jti": "t-1",
    "iat": NOW_S - 10,
    "exp": NOW_S + 300,
    "scope": "patient/*.rs",
    "patient": "pat-a",
}

PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


def evaluable(kind: str, term: Term) -> bool:
    return term.name == "category"


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def private_key(algorithm: str, number: int = 0, bits: int = 2048) -> PrivateKey:
    """A key for `algorithm`, the same at every call; `number` tells several apart."""
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(65537, bits)


def rsa_key(number: int = 0, bits: int = 2048) -> PrivateKey:
    return private_key("RSA", number, bits)


def public_jwk(key: PrivateKey, kid: str | None = "key-1", **more: object) -> dict[str, object]:
    numbered: dict[str, object] = {} if kid is None else {"kid": kid}
    return {**_public_members(key), **numbered, **more}


def jwks(*keys: Mapping[str, object]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def token(
    key: PrivateKey,
    algorithm: str = "RS256",
    *,
    header: Mapping[str, object] | None = None,
    claims: Mapping[str, object] | None = None,
) -> str:
    """A token of CLAIMS with `claims` over them; None as a value takes a name out."""
    head = {"typ": "at+jwt", "alg": algorithm, "kid": "key-1", **(header or {})}
    body = {**CLAIMS, **(claims or {})}
    return raw_token(key, algorithm, _json(head), _json(body))


def raw_token(key: PrivateKey, algorithm: str, header: bytes, payload: bytes) -> str:
    """A token of exactly these bytes."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(sign(key, algorithm, signed.encode()))}"


def hmac_token(secret: bytes, algorithm: str = "HS256") -> str:
    header = {"typ": "at+jwt", "alg": algorithm, "kid": "key-1"}
    signed = f"{b64(_json(header))}.{b64(_json(CLAIMS))}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def sign(key: PrivateKey, algorithm: str, data: bytes) -> bytes:
    """The signature that RFC 7518 section 3 and RFC 8037 ask for."""
    if isinstance(key, rsa.RSAPrivateKey):
        digest = HASHES[algorithm[2:]]
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.sign(data, padding.PKCS1v15() if algorithm.startswith("RS") else pss, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(HASHES[algorithm[2:]])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return key.sign(data)


def pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _json(members: Mapping[str, object]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def _public_members(key: PrivateKey) -> dict[str, object]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        curve = {256: "P-256", 384: "P-384", 521: "P-521"}[key.key_size]
        return {"kty": "EC", "crv": curve, "x": _number(point.x, size), "y": _number(point.y, size)}
    curve = "Ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "Ed448"
    return {"kty": "OKP", "crv": curve, "x": b64(key.public_key().public_bytes_raw())}


def _number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
