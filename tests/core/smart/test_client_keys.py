"""Keys by value: bare, public, and fit for an accepted assertion, or not kept."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.smart.client_keys import MAX_KEYS, PublicKey, check_keys, read_certified_keys, read_keys

RSA = {"kty": "RSA", "kid": "r", "n": "AQAB" * 86, "e": "AQAB"}
EC = {"kty": "EC", "kid": "e", "crv": "P-384", "x": "A" * 64, "y": "B" * 64}
P256 = {**EC, "crv": "P-256"}
OKP = {"kty": "OKP", "kid": "o", "crv": "Ed25519", "x": "A" * 43}
OCT = {"kty": "oct", "kid": "s", "k": "AQAB"}

LEFT_OUT = {
    "another curve": P256,
    "another type": OKP,
    "another algorithm": {**RSA, "alg": "RS256"},
    "an algorithm of another type": {**RSA, "alg": "ES384"},
    "for encryption": {**RSA, "use": "enc"},
    "not to verify": {**EC, "key_ops": ["encrypt"]},
    "operations that are no list": {**EC, "key_ops": "verify"},
}
REFUSED: dict[str, Any] = {
    "no object": [],
    "no keys": {},
    "keys that are no list": {"keys": EC},
    "an empty list": {"keys": []},
    "a key that is no object": {"keys": [EC, "key"]},
    "no type": {"keys": [{name: value for name, value in EC.items() if name != "kty"}]},
    "a type that is no string": {"keys": [{**EC, "kty": ["EC"]}]},
    "no id": {"keys": [{name: value for name, value in EC.items() if name != "kid"}]},
    "an empty id": {"keys": [{**EC, "kid": ""}]},
    "an id too long": {"keys": [{**EC, "kid": "k" * 256}]},
    "an id that is no string": {"keys": [{**EC, "kid": 1}]},
    "an id with a line feed": {"keys": [{**EC, "kid": "a\nb"}]},
    "a number missing": {"keys": [{name: value for name, value in EC.items() if name != "y"}]},
    "a number that is no string": {"keys": [{**RSA, "e": 65537}]},
    "a number that is padded": {"keys": [{**RSA, "e": "AQAB="}]},
    "an empty number": {"keys": [{**RSA, "n": ""}]},
    "an algorithm that is null": {"keys": [{**RSA, "alg": None}]},
    "the same id twice": {"keys": [RSA, {**RSA, "e": "AQAC"}]},
    "the very same key twice": {"keys": [RSA, RSA]},
    "a private RSA key": {"keys": [{**RSA, "d": "AQAB"}]},
    "a private EC key": {"keys": [{**EC, "d": "AQAB"}]},
    "a private key among others": {"keys": [EC, {**P256, "d": "AQAB"}]},
    "a symmetric key among others": {"keys": [EC, OCT]},
    "too many": {"keys": [{**RSA, "kid": str(number)} for number in range(MAX_KEYS + 1)]},
    **{f"only {name}": {"keys": [key]} for name, key in LEFT_OUT.items()},
}


def test_keys_are_read_bare() -> None:
    decorated = {**RSA, "alg": "RS384", "use": "sig", "key_ops": ["verify"], "x5c": ["MIIB"], "ext": True}
    rsa, ec = read_keys({"keys": [decorated, EC], "other": 1})
    assert rsa == PublicKey("r", "RSA", (("n", RSA["n"]), ("e", "AQAB")), "RS384")
    assert rsa.jwk == {**RSA, "alg": "RS384", "use": "sig"}
    assert (ec.curve, ec.algorithm, rsa.curve) == ("P-384", None, None)
    assert read_keys({"keys": [rsa.jwk, ec.jwk]}) == (rsa, ec)


@pytest.mark.parametrize("key", LEFT_OUT.values(), ids=LEFT_OUT)
def test_keys_for_something_else_are_left_out(key: dict[str, object]) -> None:
    assert [read.id for read in read_keys({"keys": [{**key, "kid": "x"}, EC]})] == ["e"]


def test_one_id_may_name_a_key_of_each_type() -> None:
    assert [key.kty for key in read_keys({"keys": [{**RSA, "kid": "1"}, {**EC, "kid": "1"}]})] == [
        "RSA",
        "EC",
    ]


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_sets_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"key|jwks") as caught:
        read_keys(value)
    assert "AQAB" not in str(caught.value)


# --- With certificates ----------------------------------------------------------------------------------

CERTIFIED = {**P256, "x5c": ["MIIB", "MIIC"]}


@pytest.mark.parametrize("crv", ["P-256", "P-384", "P-521"])
def test_keys_with_certificates_are_read_with_the_first(crv: str) -> None:
    decorated = {**CERTIFIED, "crv": crv, "x5t": "x", "x5u": "https://a.example/c", "ext": True}
    [key] = read_certified_keys({"keys": [decorated, RSA, OKP, {**CERTIFIED, "use": "enc"}]})
    assert (key.certificate, key.curve) == ("MIIB", crv)
    assert key.jwk == {**P256, "crv": crv, "x5c": ["MIIB"], "use": "sig"}
    assert read_certified_keys({"keys": [key.jwk]}) == (key,)


NO_CERTIFICATES: dict[str, Any] = {
    "none": P256,
    "no list": {**CERTIFIED, "x5c": "MIIB"},
    "an empty list": {**CERTIFIED, "x5c": []},
    "null": {**CERTIFIED, "x5c": None},
    "no text": {**CERTIFIED, "x5c": [1]},
    "no digits": {**CERTIFIED, "x5c": [""]},
    "base64url": {**CERTIFIED, "x5c": ["MI-B"]},
    "without padding": {**CERTIFIED, "x5c": ["MIIBM"]},
    "too long": {**CERTIFIED, "x5c": ["MIIB" * 4097]},
    "another curve": {**CERTIFIED, "crv": "secp256k1"},
    "another type": {**OKP, "x5c": ["MIIB"]},
    "a private key": {**CERTIFIED, "d": "AQAB"},
}


@pytest.mark.parametrize("key", NO_CERTIFICATES.values(), ids=NO_CERTIFICATES)
def test_a_set_without_certificates_is_refused(key: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"key|jwks"):
        read_certified_keys({"keys": [key]})


def test_a_certified_key_signs_no_assertions_and_the_other_way_round() -> None:
    [certified], [bare] = read_certified_keys({"keys": [CERTIFIED]}), read_keys({"keys": [EC]})
    check_keys([certified], certified=True)
    with pytest.raises(ValueError, match="fits none"):
        check_keys([certified])
    with pytest.raises(ValueError, match="no certificate"):
        check_keys([bare], certified=True)


def test_a_key_is_checked_when_built() -> None:
    with pytest.raises(ValueError, match="members of its type"):
        PublicKey("r", "RSA", (("n", "AQAB"), ("e", "AQAB"), ("d", "AQAB")))
    with pytest.raises(ValueError, match="members of its type"):
        PublicKey("s", "oct", (("k", "AQAB"),))
    keys = [PublicKey(str(number), "RSA", (("n", "AQAB"), ("e", "AQAB"))) for number in range(MAX_KEYS + 1)]
    check_keys(keys[1:])
    with pytest.raises(ValueError, match="more than 20 keys"):
        check_keys(keys)
    with pytest.raises(ValueError, match="fits none"):
        check_keys([PublicKey("e", "EC", (("crv", "P-256"), ("x", "A"), ("y", "A")))])
