"""Which keys of a set are used, which are left out, and which spoil the whole set."""

from __future__ import annotations

import json

import pytest

from gateway.tokens.jwks import MAX_BYTES, MAX_KEYS, parse_jwks
from tests.tokens.forge import jwks, private_key, public_jwk, rsa_key

RSA = public_jwk(rsa_key())
EC = public_jwk(private_key("ES256"), "ec-1")


@pytest.mark.parametrize("algorithm", ["RSA", "ES256", "ES384", "ES512", "EdDSA", "Ed448"])
def test_key_of_each_kind_is_read(algorithm: str) -> None:
    jwk = public_jwk(private_key(algorithm))
    (key,) = parse_jwks(jwks(jwk))
    assert (key.id, key.kty, key.curve, key.algorithm) == ("key-1", jwk["kty"], jwk.get("crv"), None)
    assert not key.jwk.has_private


@pytest.mark.parametrize(
    "more",
    [
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"alg": "PS256"},
        {"x5c": ["MII"], "x5t": "t", "not_before": 1, "generate": "RSA", "size": 16384},
    ],
    ids=str,
)
def test_key_for_verifying_is_read_whatever_else_it_says(more: dict[str, object]) -> None:
    (key,) = parse_jwks(jwks({**RSA, **more}))
    assert key.algorithm == more.get("alg")


@pytest.mark.parametrize(
    "other",
    [
        {**RSA, "use": "enc"},
        {**RSA, "use": "SIG"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "key_ops": []},
        {**RSA, "key_ops": "verify"},
        {**RSA, "alg": "RSA-OAEP"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "none"},
        {**RSA, "e": "not base64!"},
        {"kty": "RSA", "kid": "no-modulus", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "kid": "no-point"},
        {**EC, "x": EC["y"]},
        {**EC, "crv": "P-384"},
        {**EC, "crv": "secp256k1"},
        {"kty": "OKP", "crv": "X25519", "x": public_jwk(private_key("EdDSA"))["x"]},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "new"},
        public_jwk(rsa_key(bits=1024)),
    ],
    ids=lambda jwk: json.dumps(jwk)[:70],
)
def test_key_that_cannot_verify_tokens_is_left_out(other: dict[str, object]) -> None:
    keys = parse_jwks(jwks(other, {**EC, "kid": "ec-9"}))
    assert [key.id for key in keys] == ["ec-9"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[[]]}',
        b'{"keys":[{}]}',
        b'{"keys":[{"kty":1}]}',
        b'{"keys":[],"keys":[]}',
        b"<html></html>",
        jwks({**RSA, "kid": 1}),
        jwks({**RSA, "alg": ["RS256"]}),
        jwks({**RSA, "use": 1}),
        jwks({"kty": "oct", "k": "AAAA"}),
        jwks({"kty": "oct"}),
        jwks(RSA, {**EC, "d": "AAAA"}),
        jwks({**RSA, "use": "enc", "d": "AAAA"}),
        jwks({**RSA, "p": "AAAA"}),
        jwks({**RSA, "k": "AAAA"}),
        jwks({"kty": "new", "d": "AAAA"}),
        jwks(*[EC] * (MAX_KEYS + 1)),
        jwks(EC) + b" " * MAX_BYTES,
    ],
    ids=lambda data: repr(data[:60]),
)
def test_set_that_is_no_public_key_set_is_refused_whole(document: bytes) -> None:
    with pytest.raises(ValueError):
        parse_jwks(document)


def test_set_may_be_empty_and_may_be_full() -> None:
    assert parse_jwks(b'{"keys":[]}') == ()
    assert len(parse_jwks(jwks(*[EC] * MAX_KEYS))) == MAX_KEYS
