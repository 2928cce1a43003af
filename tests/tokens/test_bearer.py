"""One Authorization header, one form of it."""

from __future__ import annotations

import pytest

from gateway.errors import Unauthenticated
from gateway.tokens.bearer import Presented, bearer_of, presented, scheme_of


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer abc.def.ghi", "abc.def.ghi"),
        (b"bearer abc", "abc"),
        (b"BEARER abc", "abc"),
        (b"bEaReR -._~+/09azAZ==", "-._~+/09azAZ=="),
    ],
)
def test_bearer_token_is_read(value: bytes, token: str) -> None:
    assert bearer_of([value]) == token
    assert presented([value]) == Presented(token, with_proof=False)


@pytest.mark.parametrize("value", [b"DPoP abc", b"dpop abc", b"DPOP abc"])
def test_a_token_with_a_proof_says_so(value: bytes) -> None:
    assert presented([value]) == Presented("abc", with_proof=True)


def test_no_header_asks_for_a_token_without_an_error_code() -> None:
    with pytest.raises(Unauthenticated) as caught:
        presented([])
    assert caught.value.oauth_error is None


@pytest.mark.parametrize(
    "values",
    [
        [b"Bearer abc", b"Bearer abc"],
        [b"Bearer abc", b"Basic dTpw"],
        [b"Basic dTpw"],
        [b"DPoP abc"],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer  abc"],
        [b"Bearer\tabc"],
        [b" Bearer abc"],
        [b"Bearer abc "],
        [b"Bearer abc\n"],
        [b"Bearer abc def"],
        [b"Bearer abc,Bearer def"],
        [b"Bearer abc, Basic dTpw"],
        [b"Bearer a=b"],
        [b"Bearer =="],
        [b'Bearer "abc"'],
        [b"Bearer token=abc"],
        [b"Bearer \xc3\xa9"],
        [b"Bearer a\x00b"],
        [b"abc.def.ghi"],
        [b"Bearerabc"],
        [b"DPoP abc", b"DPoP abc"],
        [b"Bearer abc", b"DPoP abc"],
    ],
    ids=repr,
)
def test_anything_else_is_refused(values: list[bytes]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        bearer_of(values)
    assert caught.value.oauth_error == "invalid_token"


@pytest.mark.parametrize(
    "values",
    [
        [b"DPoP abc", b"DPoP abc"],
        [b"Bearer abc", b"DPoP abc"],
        [b"DPoP"],
        [b"DPoP "],
        [b"DPoP  abc"],
        [b"DPoP abc def"],
        [b"DPoPabc"],
        [b"DPoP Bearer abc"],
        [b"Bearer DPoP abc"],
        [b"D\xc3\xb6PoP abc"],
    ],
    ids=repr,
)
def test_nor_is_anything_else_a_token_with_a_proof(values: list[bytes]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        presented(values)
    assert caught.value.oauth_error == "invalid_token"


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        ([], "Bearer"),
        ([b"Bearer x"], "Bearer"),
        ([b"DPoP x"], "DPoP"),
        ([b"dpop "], "DPoP"),
        ([b"DPoPx y"], "Bearer"),
        ([b"Basic x"], "Bearer"),
        ([b"Bearer x", b"DPoP y"], "DPoP"),
        ([b""], "Bearer"),
    ],
)
def test_the_scheme_is_told_of_what_is_no_token_too(values: list[bytes], scheme: str) -> None:
    assert scheme_of(values) == scheme
