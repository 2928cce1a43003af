"""Signatures hold under the one key and the one algorithm that made them."""

from __future__ import annotations

import pytest

from gateway.core.smart.issuers import ALGORITHMS
from gateway.errors import Unauthenticated
from gateway.tokens.compact import decode_base64url
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.signature import FITS, VerificationKey, check_signature, choose_key
from tests.tokens.forge import PrivateKey, b64, jwks, private_key, public_jwk, rsa_key, token


def signing_key(algorithm: str, number: int = 0) -> PrivateKey:
    return rsa_key(number) if FITS[algorithm].kty == "RSA" else private_key(algorithm, number)


def verification_key(key: PrivateKey, kid: str = "key-1", **more: object) -> VerificationKey:
    return parse_jwks(jwks(public_jwk(key, kid, **more)))[0]


def check(text: str, algorithm: str, key: PrivateKey) -> None:
    check_signature(text, decode_base64url(text.split(".")[2]), algorithm, verification_key(key))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signature_holds_and_none_of_its_neighbours_does(algorithm: str) -> None:
    key = signing_key(algorithm)
    good = token(key, algorithm)
    check(good, algorithm, key)
    header, payload, signature = good.split(".")
    data = decode_base64url(signature)
    forged = [
        f"{header}.{payload}.{b64(bytes([data[0] ^ 1]) + data[1:])}",
        f"{header}.{payload}.{b64(data[:-1] + bytes([data[-1] ^ 1]))}",
        f"{header}.{payload}.{b64(data[:-1])}",
        f"{header}.{payload}.{b64(data + bytes(1))}",
        f"{header}.{payload}.{b64(bytes(len(data)))}",
        f"{header}.{token(key, algorithm, claims={'patient': 'pat-b'}).split('.')[1]}.{signature}",
        f"{token(key, algorithm, header={'x': 1}).split('.')[0]}.{payload}.{signature}",
    ]
    for text in forged:
        with pytest.raises(Unauthenticated, match="does not hold"):
            check(text, algorithm, key)
    with pytest.raises(Unauthenticated, match="does not hold"):
        check(good, algorithm, signing_key(algorithm, number=1))


def test_ecdsa_signature_with_zeros_in_front_of_its_halves_is_refused() -> None:
    key = private_key("ES256")
    header, payload, signature = token(key, "ES256").split(".")
    data = decode_base64url(signature)
    with pytest.raises(Unauthenticated, match="does not hold"):
        check(f"{header}.{payload}.{b64(bytes(1) + data[:32] + bytes(1) + data[32:])}", "ES256", key)


def test_sound_signature_by_another_algorithm_than_the_one_checked_is_refused() -> None:
    text = token(rsa_key(), "PS256")
    check(text, "PS256", rsa_key())
    with pytest.raises(Unauthenticated, match="does not hold"):
        check(text, "RS256", rsa_key())


@pytest.mark.parametrize("other", [a for a in ALGORITHMS if a != "RS256"])
def test_header_naming_another_algorithm_than_the_one_checked_is_refused(other: str) -> None:
    text = token(rsa_key(), "RS256", header={"alg": other})
    with pytest.raises(Unauthenticated, match="does not hold"):
        check(text, "RS256", rsa_key())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_key_is_chosen_by_what_the_algorithm_needs(algorithm: str) -> None:
    keys = [verification_key(private_key(name)) for name in ("RSA", "ES256", "ES384", "ES512", "EdDSA")]
    chosen = choose_key(keys, algorithm, None)
    assert chosen is not None
    assert (chosen.kty, chosen.curve in FITS[algorithm].curves) == (FITS[algorithm].kty, True)
    assert choose_key([key for key in keys if key is not chosen], algorithm, None) is None


def test_key_id_and_key_algorithm_are_kept_to() -> None:
    first = verification_key(rsa_key(), kid="a", alg="RS256")
    second = verification_key(rsa_key(1), kid="b")
    assert choose_key([first, second], "RS256", "a") is first
    assert choose_key([first, second], "RS256", "b") is second
    assert choose_key([first, second], "RS256", "c") is None
    assert choose_key([first, second], "RS384", "a") is None
    assert choose_key([first, second], "PS256", None) is second


@pytest.mark.parametrize("key_id", ["a", None])
def test_two_keys_that_fit_are_one_too_many(key_id: str | None) -> None:
    twins = [verification_key(rsa_key(), kid="a"), verification_key(rsa_key(1), kid="a")]
    with pytest.raises(Unauthenticated, match="not clear"):
        choose_key(twins, "RS256", key_id)
    assert choose_key(twins[:1], "RS256", key_id) is twins[0]


def test_two_keys_of_one_id_and_different_kinds_are_clear() -> None:
    pair = [verification_key(rsa_key(), kid="a"), verification_key(private_key("ES256"), kid="a")]
    assert choose_key(pair, "ES256", "a") is pair[1]


def test_key_without_an_id_serves_no_header_with_one() -> None:
    (key,) = parse_jwks(jwks(public_jwk(rsa_key(), None)))
    assert choose_key([key], "RS256", "a") is None
    assert choose_key([key], "RS256", None) is key
