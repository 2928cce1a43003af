"""id_tokens of other providers: a sound one is read, and each near miss is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.id_token import SKEW_S, Expected, LoggedIn, read_id_header, read_id_token
from gateway.core.smart.issuers import ALGORITHMS, REFUSED_PARAMETERS
from gateway.errors import Unauthenticated

NOW_S = 1_800_000_000
EXPECTED = Expected("https://idp.example", "gateway", "n" * 43, NOW_S - 20)
CLAIMS: dict[str, Any] = {
    "iss": "https://idp.example",
    "aud": "gateway",
    "sub": "user-1",
    "nonce": "n" * 43,
    "iat": NOW_S - 5,
    "exp": NOW_S + 300,
}


def read(expected: Expected = EXPECTED, **claims: Any) -> LoggedIn:
    """With CLAIMS and `claims` over them; None takes one out."""
    whole = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return read_id_token(whole, expected, NOW_S)


def test_a_sound_one_says_who_logged_in() -> None:
    who = read()
    assert (who.subject, who.auth_time_s, who.methods) == ("user-1", None, frozenset())
    assert who.claims["iss"] == "https://idp.example"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["gateway"]},
        {"azp": "gateway"},
        {"exp": NOW_S + 1},
        {"iat": EXPECTED.asked_s - SKEW_S},
        {"iat": NOW_S + SKEW_S},
        {"nbf": NOW_S + SKEW_S},
        {"sub": "x" * 255},
        {"at_hash": "anything"},
        {"unheard-of": {"a": 1}},
    ],
    ids=repr,
)
def test_these_change_nothing(claims: dict[str, Any]) -> None:
    assert read(**claims).subject == claims.get("sub", "user-1")


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"iss": "https://idp.example/"}, "iss"),
        ({"iss": "https://IDP.example"}, "iss"),
        ({"iss": "https://other.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"iss": ["https://idp.example"]}, "iss"),
        ({"aud": "Gateway"}, "aud"),
        ({"aud": ["gateway", "other"]}, "aud"),
        ({"aud": ["other"]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"azp": "other"}, "azp"),
        ({"azp": 1}, "azp"),
        ({"nonce": "m" + "n" * 42}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": 1}, "sub"),
        ({"sub": None}, "sub"),
        ({"exp": NOW_S}, "exp"),
        ({"exp": NOW_S + 0.5}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": EXPECTED.asked_s - SKEW_S - 1}, "iat"),
        ({"iat": NOW_S + SKEW_S + 1}, "iat"),
        ({"iat": "1"}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": NOW_S + SKEW_S + 1}, "nbf"),
        ({"auth_time": NOW_S + SKEW_S + 1}, "auth_time"),
        ({"auth_time": "1"}, "auth_time"),
        ({"amr": [1]}, "amr"),
        ({"acr": ["2"]}, "acr"),
    ],
    ids=repr,
)
def test_each_near_miss_is_refused(claims: dict[str, Any], named: str) -> None:
    with pytest.raises(Unauthenticated, match=f"claim {named} "):
        read(**claims)


@given(st.dictionaries(st.sampled_from([*CLAIMS, "azp", "amr", "acr", "nbf", "auth_time"]), st.none() |
       st.booleans() | st.integers() | st.text() | st.lists(st.text()), min_size=1))  # fmt: skip
def test_whatever_the_claims_are_it_is_one_of_the_two(claims: dict[str, Any]) -> None:
    try:
        who = read_id_token({**CLAIMS, **claims}, EXPECTED, NOW_S)
    except Unauthenticated:
        return
    assert (who.claims["iss"], who.claims["nonce"]) == (CLAIMS["iss"], CLAIMS["nonce"])


def test_how_is_told_by_both_claims() -> None:
    assert read(amr=["pwd", "otp"], acr="urn:two").methods == {"pwd", "otp", "urn:two"}


@pytest.mark.parametrize(
    ("after_s", "claimed_s", "at_s"),
    [
        (0, NOW_S - 86_400, NOW_S - 86_400),
        (0, NOW_S + 5, NOW_S),
        (NOW_S - 10, NOW_S - 10, NOW_S - 10),
        (NOW_S - 10, NOW_S - 3, NOW_S - 3),
        (NOW_S - 10, NOW_S - 10 - SKEW_S, NOW_S - 10),
    ],
    ids=["long ago", "a clock ahead", "just in time", "since", "a clock behind"],
)
def test_the_time_of_the_log_in_is_by_our_clock(after_s: int, claimed_s: int, at_s: int) -> None:
    who = read(replace(EXPECTED, auth_after_s=after_s), auth_time=claimed_s)
    assert who.auth_time_s == at_s


@pytest.mark.parametrize("claimed_s", [None, NOW_S - 11 - SKEW_S, 0])
def test_a_log_in_before_what_was_asked_for_does_not_count(claimed_s: int | None) -> None:
    with pytest.raises(Unauthenticated, match="claim auth_time "):
        read(replace(EXPECTED, auth_after_s=NOW_S - 10), auth_time=claimed_s)


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "jwt"}], ids=repr)
def test_a_header_that_is_read(header: dict[str, Any]) -> None:
    assert read_id_header({"alg": "RS256", "kid": "k", **header}, ALGORITHMS) == ("RS256", "k")
    assert read_id_header({"alg": "ES384", **header}, ALGORITHMS) == ("ES384", None)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"typ": 1},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": None},
        {"alg": "ES256"},
        {"kid": ""},
        *({name: "x"} for name in REFUSED_PARAMETERS),
    ],
    ids=repr,
)
def test_a_header_that_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        read_id_header({"alg": "RS256", "kid": "k", **header}, ("RS256",))
