"""What an issuer's rule may say, and what a token's header may."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.smart.issuers import ALGORITHMS, REFUSED_PARAMETERS, IssuerRule, read_header
from gateway.errors import Unauthenticated

RULE: dict[str, Any] = {"issuer": "https://idp.example", "audience": "https://gw.example/fhir"}
HEADER = {"typ": "at+jwt", "alg": "RS256", "kid": "key-1"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"algorithms": ("EdDSA",)},
        {"binding": "lookup"},
        {"default_purpose": "TREAT"},
        {"max_lifetime_s": 1},
        {"max_lifetime_s": 86_400},
    ],
)
def test_rule_holds_what_it_was_given(more: dict[str, Any]) -> None:
    rule = IssuerRule(**RULE, **more)
    assert {name: getattr(rule, name) for name in more} == more


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ""},
        {"audience": ""},
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"algorithms": ("HS256",)},
        {"algorithms": ("RS256", "HS512")},
        {"algorithms": ("rs256",)},
        {"algorithms": ("ES256K",)},
        {"binding": "none"},
        {"default_purpose": ""},
        {"default_purpose": "treat"},
        {"max_lifetime_s": 0},
        {"max_lifetime_s": 86_401},
    ],
    ids=str,
)
def test_rule_that_would_trust_too_much_cannot_be_built(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        IssuerRule(**{**RULE, **wrong})


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "application/AT+jwt"])
def test_access_token_types_are_read_without_case(kind: str) -> None:
    assert read_header({**HEADER, "typ": kind}, ("RS256",)) == ("RS256", "key-1")


@pytest.mark.parametrize(
    "kind",
    [
        "JWT",
        "jwt",
        "logout+jwt",
        "dpop+jwt",
        "at+jwt ",
        "at",
        "",
        "text/at+jwt",
        "id+jwt",
        None,
        1,
        ["at+jwt"],
    ],
)
def test_other_types_are_refused(kind: object) -> None:
    with pytest.raises(Unauthenticated, match="typ"):
        read_header({**HEADER, "typ": kind}, ("RS256",))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithm_is_accepted_only_from_an_issuer_that_uses_it(algorithm: str) -> None:
    others = tuple(other for other in ALGORITHMS if other != algorithm)
    assert read_header({**HEADER, "alg": algorithm}, (algorithm,)) == (algorithm, "key-1")
    with pytest.raises(Unauthenticated, match="alg"):
        read_header({**HEADER, "alg": algorithm}, others)


@pytest.mark.parametrize(
    "algorithm",
    ["none", "nOnE", "NONE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", "RS1", None, 5, ["RS256"]],
)
def test_algorithms_off_the_list_are_refused(algorithm: object) -> None:
    with pytest.raises(Unauthenticated, match="alg"):
        read_header({**HEADER, "alg": algorithm}, ALGORITHMS)


@pytest.mark.parametrize("name", REFUSED_PARAMETERS)
@pytest.mark.parametrize("value", [None, False, True, "x", [], {}], ids=repr)
def test_parameters_that_change_the_reading_are_refused_whatever_they_say(name: str, value: object) -> None:
    with pytest.raises(Unauthenticated, match=name):
        read_header({**HEADER, name: value}, ALGORITHMS)


def test_thumbprints_and_unknown_parameters_are_ignored() -> None:
    header = {**HEADER, "x5t": "thumb", "x5t#S256": "thumb", "pi.atm": "1"}
    assert read_header(header, ALGORITHMS) == ("RS256", "key-1")


def test_key_id_may_be_missing() -> None:
    assert read_header({"typ": "at+jwt", "alg": "RS256"}, ALGORITHMS) == ("RS256", None)


@pytest.mark.parametrize("key_id", ["", "k" * 256, None, 1, ["key-1"], {"kid": 1}, False])
def test_key_id_that_is_not_a_short_string_is_refused(key_id: object) -> None:
    with pytest.raises(Unauthenticated, match="kid"):
        read_header({**HEADER, "kid": key_id}, ALGORITHMS)
