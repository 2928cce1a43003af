"""The compact form has one spelling, and its parts are JSON objects that say each thing once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Unauthenticated
from gateway.tokens.compact import MAX_BYTES, decode_base64url, read_json, split
from tests.tokens.forge import b64

H, P, S = b64(b'{"alg":"RS256"}'), b64(b'{"a":1}'), b64(b"signature")
GOOD = f"{H}.{P}.{S}"


def with_payload(payload: bytes) -> str:
    return f"{H}.{b64(payload)}.{S}"


def test_parts_are_decoded() -> None:
    compact = split(GOOD)
    assert compact.header == {"alg": "RS256"}
    assert compact.claims == {"a": 1}
    assert compact.signature == b"signature"


@given(st.binary(min_size=1, max_size=40))
def test_base64url_is_read_back_and_only_in_that_spelling(data: bytes) -> None:
    text = b64(data)
    assert decode_base64url(text) == data
    for other in (f"{text}=", f"{text}A", f"A{text}"):
        try:
            assert decode_base64url(other) != data
        except Unauthenticated:
            continue


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        f"{H}.{P}",
        f"{H}.{P}.",
        f"{H}..{S}",
        f".{P}.{S}",
        f"{GOOD}.x",
        f"{GOOD}.x.y",
        f"{GOOD}\n",
        f" {GOOD}",
        f"{GOOD}=",
        f"{H}=.{P}.{S}",
        f"{H}.{P}=.{S}",
        f"{H}.{P}.{S}==",
        f"{H}.{P}.{S[:-1]}+",
        f"{H}.{P}.{S[:-1]}/",
        f"{H}.{P}.A",
        f"{H}.{P}.AB",  # one byte, with four spare bits that are not zero
        f"{H}.{P}.é",
        '{"payload":"e30","protected":"e30","signature":"AA"}',
    ],
    ids=repr,
)
def test_other_spellings_and_forms_are_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        split(token)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"a"',
        b"1",
        b"null",
        b"{",
        b"{} {}",
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":01}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'\xef\xbb\xbf{"a":1}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1}//',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' * 9 + b"1" + b"}" * 9,
        f"{H}.{P}.{S}".encode(),  # a nested JWT
    ],
    ids=repr,
)
def test_payload_that_is_not_one_strict_object_is_refused(payload: bytes) -> None:
    with pytest.raises(Unauthenticated):
        split(with_payload(payload))
    with pytest.raises(Unauthenticated):
        split(f"{b64(payload) or 'A'}.{P}.{S}")


@pytest.mark.parametrize("payload", [b"{}", b' {"a":1}\n', b'{"a":1,"b":{"a":1}}', b'{"a":1,"A":1}'])
def test_payload_that_nearly_repeats_a_name_is_read(payload: bytes) -> None:
    assert split(with_payload(payload)).claims == json.loads(payload)


def test_eight_levels_are_read_and_nine_are_not() -> None:
    assert read_json(b"[" * 8 + b"]" * 8) is not None
    with pytest.raises(ValueError, match="deep"):
        read_json(b"[" * 9 + b"]" * 9)


def test_length_is_limited_to_the_character() -> None:
    def of_length(length: int) -> str:
        return f"{H}.{P}." + "A" * (length - len(H) - len(P) - 2)

    longest = next(n for n in (MAX_BYTES, MAX_BYTES - 1, MAX_BYTES - 2) if (n - len(H) - len(P) - 2) % 4 == 0)
    assert split(of_length(longest)).claims == {"a": 1}
    with pytest.raises(Unauthenticated, match="longer"):
        split(of_length(MAX_BYTES + 1))
    with pytest.raises(Unauthenticated, match="longer"):
        split(of_length(5_000_000))
