"""The minter's tokens verify with its own public set, and with another library's reading of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from jwcrypto.jwk import JWK

from gateway.tokens.compact import split
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.mint import Minter
from gateway.tokens.signature import check_signature
from tests.tokens.forge import AUDIENCE, ISSUER, NOW_S

CLAIMS = {"aud": AUDIENCE, "sub": "user-1", "client_id": "app-1", "scope": "patient/*.rs"}
KINDS: dict[str, dict[str, object]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "RS256": {"kty": "RSA", "size": 2048},
}


def private_jwk(kind: Mapping[str, object]) -> dict[str, str]:
    members: dict[str, str] = JWK.generate(**kind).export_private(as_dict=True)
    return members


@pytest.fixture(scope="module")
def minter() -> Minter:
    return Minter(private_jwk(KINDS["ES256"]), ISSUER)


def mint(minter: Minter, claims: Mapping[str, object] = CLAIMS, lifetime_s: int = 300) -> str:
    return minter.mint(claims, now_s=NOW_S, lifetime_s=lifetime_s, jti="t-1")


@pytest.mark.parametrize("algorithm", KINDS)
def test_minted_token_verifies_with_the_public_set(algorithm: str) -> None:
    minter = Minter(private_jwk(KINDS[algorithm]), ISSUER)
    text = mint(minter)
    compact = split(text)
    (key,) = parse_jwks(json.dumps(minter.public_jwks()).encode())
    check_signature(text, compact.signature, algorithm, key)
    assert compact.header == {"alg": algorithm, "kid": key.id, "typ": "at+jwt"}
    assert compact.claims == {
        **CLAIMS,
        "iss": ISSUER,
        "iat": NOW_S,
        "exp": NOW_S + 300,
        "jti": "t-1",
    }


def test_public_set_holds_nothing_private(minter: Minter) -> None:
    (jwk,) = minter.public_jwks()["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert jwk["kid"] == JWK(**jwk).thumbprint()


@pytest.mark.parametrize("name", ["iss", "iat", "exp", "jti"])
def test_claims_the_minter_sets_cannot_be_given(minter: Minter, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        mint(minter, {**CLAIMS, name: "x"})


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_claims_that_every_token_needs_must_be_given(minter: Minter, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        mint(minter, {other: value for other, value in CLAIMS.items() if other != name})


@pytest.mark.parametrize("lifetime_s", [0, -1, 86_401])
def test_lifetime_is_bounded(minter: Minter, lifetime_s: int) -> None:
    assert mint(minter, lifetime_s=86_400)
    with pytest.raises(ValueError, match="lives"):
        mint(minter, lifetime_s=lifetime_s)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"kty": "oct", "k": "AAAA"},
        JWK.generate(kty="EC", crv="P-256").export_public(as_dict=True),
        JWK.generate(kty="EC", crv="secp256k1").export_private(as_dict=True),
        JWK.generate(kty="OKP", crv="X25519").export_private(as_dict=True),
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "d": "AAAA"},
        {"kty": "RSA", "n": "AAAA", "e": "AQAB", "d": "AAAA"},
        JWK.generate(kty="RSA", size=1024).export_private(as_dict=True),
    ],
    ids=[
        "nothing",
        "symmetric",
        "public",
        "secp256k1",
        "X25519",
        "no point",
        "no primes",
        "RSA of 1024 bits",
    ],
)
def test_key_that_cannot_sign_tokens_is_refused(members: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Minter(members, ISSUER)
