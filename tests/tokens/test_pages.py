"""A sealed page opens unchanged, in time and with the same key; anything else is gone."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canon import b64url, unb64url
from gateway.core.fhir.release import Cursor
from gateway.errors import BadRequest, Gone
from gateway.tokens.pages import LIFETIME_S, Page, PageSealer

KEY = bytes(range(32))
NOW_S = 1_767_225_600
PAGE = Page("Observation", "category=laboratory", Cursor("", "_getpages=x%2Fy&_offset=20"), bytes(32))


BASE = "https://gw.example/fhir"


def sealer(key: bytes = KEY, base: str = BASE) -> PageSealer:
    return PageSealer(key, os.urandom, base)


@given(
    st.builds(
        Page,
        st.sampled_from(["Observation", "Patient"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126)),
        st.builds(Cursor, st.text("abc/", max_size=9), st.text("abc=&%", max_size=99)),
        st.binary(min_size=32, max_size=32),
    )
)
def test_opens_as_it_was(page: Page) -> None:
    assert sealer().open(sealer().seal(page, NOW_S), NOW_S) == page


def test_opens_until_it_expires() -> None:
    sealed = sealer().seal(PAGE, NOW_S)
    assert sealer().open(sealed, NOW_S + LIFETIME_S - 1) == PAGE
    with pytest.raises(Gone):
        sealer().open(sealed, NOW_S + LIFETIME_S)


def test_says_nothing_and_is_never_twice_the_same() -> None:
    first, second = (sealer().seal(PAGE, NOW_S) for _ in range(2))
    assert first != second
    assert b"getpages" not in unb64url(first)


def test_every_changed_byte_is_noticed() -> None:
    data = unb64url(sealer().seal(PAGE, NOW_S))
    for index in range(len(data)):
        changed = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
        with pytest.raises(Gone):
            sealer().open(b64url(changed), NOW_S)


REFUSED = {"nothing": "", "short": "AAAA", "not base64url": "a+b/", "padding": "AAA=", "long": "A" * 4000}


@pytest.mark.parametrize("sealed", REFUSED.values(), ids=REFUSED)
def test_refuses(sealed: str) -> None:
    with pytest.raises(Gone):
        sealer().open(sealed, NOW_S)


def test_a_page_of_another_upstream_is_gone() -> None:
    sealed = sealer(base=BASE + "-2").seal(PAGE, NOW_S)
    with pytest.raises(Gone):
        sealer().open(sealed, NOW_S)


def test_a_search_too_long_for_a_link_is_said_to_be() -> None:
    sealer().seal(replace(PAGE, query="_id=" + ",".join(f"obs-{n}" for n in range(1000))), NOW_S)
    with pytest.raises(BadRequest):
        sealer().seal(replace(PAGE, query="_id=" + os.urandom(6000).hex()), NOW_S)


def test_another_gateways_page_is_gone() -> None:
    sealed = sealer(bytes(32)).seal(replace(PAGE), NOW_S)
    with pytest.raises(Gone):
        sealer().open(sealed, NOW_S)
