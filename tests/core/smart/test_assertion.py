"""Client assertions: one that passes, and every way in which the nearest one does not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.smart.assertion import (
    Assertion,
    Wanted,
    choose_key,
    claimed_client,
    read_assertion,
    wanted_key,
)
from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import PublicKey
from gateway.errors import OAuthError

NOW_S = 1_800_000_000
TOKEN = "https://gw.example/auth/token"
JWKS, OTHER_JWKS = "https://svc.example/jwks.json", "https://svc.example/other.json"


def key(
    ident: str, curve: str | None = None, algorithm: str | None = None, number: str = "AQAB"
) -> PublicKey:
    if curve is None:
        return PublicKey(ident, "RSA", (("n", number), ("e", "AQAB")), algorithm)
    return PublicKey(ident, "EC", (("crv", curve), ("x", number), ("y", "AQAB")), algorithm)


def service(**fields: Any) -> Client:
    grants: Any = ("client_credentials",)
    return Client("svc", "Service", "private_key_jwt", grant_types=grants, **fields)


BY_VALUE = service(keys=(key("k"),))
BY_ADDRESS = service(jwks_uris=(JWKS, OTHER_JWKS))
SECRET = Client("svc", "Service", redirect_uris=("https://svc.example/cb",))
HEADER = {"typ": "JWT", "alg": "RS384", "kid": "k"}
CLAIMS = {"iss": "svc", "sub": "svc", "aud": TOKEN, "exp": NOW_S + 300, "jti": "j-1"}

WANTED: dict[str, tuple[dict[str, Any], Client, Wanted]] = {
    "by value": (HEADER, BY_VALUE, Wanted("RS384", "k", ())),
    "ES384": ({**HEADER, "alg": "ES384"}, BY_VALUE, Wanted("ES384", "k", ())),
    "by any address": (HEADER, BY_ADDRESS, Wanted("RS384", "k", (JWKS, OTHER_JWKS))),
    "by the address named": ({**HEADER, "jku": OTHER_JWKS}, BY_ADDRESS, Wanted("RS384", "k", (OTHER_JWKS,))),
    "an unknown parameter": ({**HEADER, "x": 1}, BY_VALUE, Wanted("RS384", "k", ())),
    "the longest kid": ({**HEADER, "kid": "k" * 255}, BY_VALUE, Wanted("RS384", "k" * 255, ())),
}
BAD_HEADERS: dict[str, tuple[dict[str, Any], Client]] = {
    "no typ": ({"alg": "RS384", "kid": "k"}, BY_VALUE),
    "an access token's typ": ({**HEADER, "typ": "at+jwt"}, BY_VALUE),
    "a typ in another case": ({**HEADER, "typ": "jwt"}, BY_VALUE),
    "no alg": ({"typ": "JWT", "kid": "k"}, BY_VALUE),
    **{
        f"alg {alg}": ({**HEADER, "alg": alg}, BY_VALUE)
        for alg in ("none", "HS384", "RS256", "ES256", "PS384", "rs384", ["RS384"], None)
    },
    "no kid": ({"typ": "JWT", "alg": "RS384"}, BY_VALUE),
    "an empty kid": ({**HEADER, "kid": ""}, BY_VALUE),
    "a kid too long": ({**HEADER, "kid": "k" * 256}, BY_VALUE),
    "a kid that is a number": ({**HEADER, "kid": 1}, BY_VALUE),
    "a foreign jku": ({**HEADER, "jku": "https://evil.example/jwks.json"}, BY_ADDRESS),
    "a jku that is nearly the registered one": ({**HEADER, "jku": JWKS + "/"}, BY_ADDRESS),
    "a jku that is a list": ({**HEADER, "jku": [JWKS]}, BY_ADDRESS),
    "a jku that is null": ({**HEADER, "jku": None}, BY_ADDRESS),
    "a jku beside keys by value": ({**HEADER, "jku": JWKS}, BY_VALUE),
    **{
        f"the parameter {name}": ({**HEADER, name: "x"}, BY_VALUE)
        for name in ("jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")
    },
    "a client with a secret": (HEADER, SECRET),
}
R, E = Wanted("RS384", "k", ()), Wanted("ES384", "k", ())
CHOSEN: dict[str, tuple[Wanted, list[list[PublicKey]], PublicKey]] = {
    "the only one": (R, [[key("k")]], key("k")),
    "by kid": (R, [[key("j"), key("k", number="AQAC")]], key("k", number="AQAC")),
    "by type": (R, [[key("k", "P-384"), key("k")]], key("k")),
    "by type and curve": (E, [[key("k"), key("k", "P-256"), key("k", "P-384")]], key("k", "P-384")),
    "marked for its algorithm": (R, [[key("k", algorithm="RS384")]], key("k", algorithm="RS384")),
    "in one of two sets": (R, [[key("j")], [key("k")]], key("k")),
    "the same in both": (R, [[key("k")], [key("j"), key("k")]], key("k")),
}
NOT_CHOSEN: dict[str, tuple[Wanted, list[list[PublicKey]]]] = {
    "no set": (R, []),
    "an empty set": (R, [[]]),
    "another kid": (R, [[key("K")]]),
    "another type": (R, [[key("k", "P-384")]]),
    "another curve": (E, [[key("k", "P-256")]]),
    "another algorithm": (R, [[key("k", algorithm="RS256")]]),
    "two in a set": (R, [[key("k"), key("k", number="AQAC")]]),
    "the same twice in a set": (R, [[key("k"), key("k")]]),
    "two of which one is for another algorithm": (R, [[key("k"), key("k", algorithm="RS256")]]),
    "different ones in two sets": (R, [[key("k")], [key("k", number="AQAC")]]),
}
READ: dict[str, dict[str, Any]] = {
    "the plain one": {},
    "the last second": {"exp": NOW_S + 1},
    "a clock that is a minute ahead": {"exp": NOW_S + 360, "iat": NOW_S + 60, "nbf": NOW_S + 60},
    "an audience in a list": {"aud": [TOKEN]},
    "the other address of the endpoint": {"aud": "http://127.0.0.1:8080/auth/token"},
    "begun a while ago": {"iat": NOW_S - 60, "nbf": 0},
    "the longest jti": {"jti": "j" * 255},
    "an unknown claim": {"scope": 4},
}
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "iss of another": {"iss": "svc-2"},
    "iss in another case": {"iss": "SVC"},
    "sub of another": {"sub": "svc-2"},
    "iss and sub of another": {"iss": "svc-2", "sub": "svc-2"},
    "iss in a list": {"iss": ["svc"]},
    "aud of the FHIR base": {"aud": "https://gw.example/fhir"},
    "aud with a slash": {"aud": TOKEN + "/"},
    "aud of two": {"aud": [TOKEN, "https://other.example/token"]},
    "aud twice": {"aud": [TOKEN, TOKEN]},
    "aud of none": {"aud": []},
    "aud null": {"aud": None},
    "exp now": {"exp": NOW_S},
    "exp past": {"exp": NOW_S - 1},
    "exp a second too far": {"exp": NOW_S + 361},
    "exp an hour ahead": {"exp": NOW_S + 3600},
    "exp with a fraction": {"exp": NOW_S + 30.5},
    "exp in a string": {"exp": str(NOW_S + 30)},
    "exp true": {"exp": True},
    "iat in the future": {"iat": NOW_S + 61},
    "iat after exp": {"exp": NOW_S + 10, "iat": NOW_S + 11},
    "iat long before exp": {"iat": NOW_S - 61},
    "iat null": {"iat": None},
    "nbf in the future": {"nbf": NOW_S + 61},
    "nbf in a string": {"nbf": "0"},
    "jti empty": {"jti": ""},
    "jti too long": {"jti": "j" * 256},
    "jti a number": {"jti": 7},
    "jti with a line feed": {"jti": "a\nb"},
}


def read(claims: dict[str, Any]) -> Assertion:
    return read_assertion(claims, BY_VALUE, {TOKEN, "http://127.0.0.1:8080/auth/token"}, NOW_S)


def check_refused(error: OAuthError) -> None:
    assert (error.error, error.status) == ("invalid_client", 400)
    assert "svc" not in error.text


@pytest.mark.parametrize(("header", "client", "want"), WANTED.values(), ids=WANTED)
def test_headers_ask_for_a_key(header: dict[str, Any], client: Client, want: Wanted) -> None:
    assert wanted_key(header, client) == want


@pytest.mark.parametrize(("header", "client"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_headers_are_refused(header: dict[str, Any], client: Client) -> None:
    with pytest.raises(OAuthError) as caught:
        wanted_key(header, client)
    check_refused(caught.value)


@pytest.mark.parametrize(("wanted", "sets", "want"), CHOSEN.values(), ids=CHOSEN)
def test_one_key_is_chosen(wanted: Wanted, sets: list[list[PublicKey]], want: PublicKey) -> None:
    assert choose_key(sets, wanted) == want


@pytest.mark.parametrize(("wanted", "sets"), NOT_CHOSEN.values(), ids=NOT_CHOSEN)
def test_none_or_several_are_refused(wanted: Wanted, sets: list[list[PublicKey]]) -> None:
    with pytest.raises(OAuthError) as caught:
        choose_key(sets, wanted)
    check_refused(caught.value)


@pytest.mark.parametrize("changes", READ.values(), ids=READ)
def test_claims_are_read(changes: dict[str, Any]) -> None:
    claims = {**CLAIMS, **changes}
    assert read(claims) == Assertion("svc", claims["jti"], claims["exp"])


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_claims_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as caught:
        read({**CLAIMS, **changes})
    check_refused(caught.value)


@pytest.mark.parametrize("name", CLAIMS)
def test_no_claim_can_be_missing(name: str) -> None:
    with pytest.raises(OAuthError, match=f"claim {name} is missing") as caught:
        read({other: value for other, value in CLAIMS.items() if other != name})
    check_refused(caught.value)


def test_whose_it_says_it_is() -> None:
    assert claimed_client(CLAIMS) == claimed_client(CLAIMS, "svc") == "svc"


@pytest.mark.parametrize(
    ("claims", "client_id"),
    [
        ({}, None),
        ({"iss": ["svc"]}, None),
        ({"iss": ""}, None),
        ({"iss": "svc@idp"}, None),
        (CLAIMS, "svc-2"),
    ],
    ids=["missing", "a list", "empty", "no client's name", "against client_id"],
)
def test_it_does_not_say_whose_it_is(claims: dict[str, Any], client_id: str | None) -> None:
    with pytest.raises(OAuthError) as caught:
        claimed_client(claims, client_id)
    check_refused(caught.value)
