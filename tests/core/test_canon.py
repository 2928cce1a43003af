from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canon import (
    MAX_SAFE_INT,
    Json,
    b64,
    b64url,
    b64url_each,
    canonical,
    parse_canonical,
    sha256,
    sha256_text,
    unb64,
    unb64url,
)

INTS = st.integers(-MAX_SAFE_INT, MAX_SAFE_INT)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | INTS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
# Below U+D800, UTF-16 code units and code points sort alike, so json.dumps sorts as RFC 8785 does.
BMP_NAMES = st.text(st.characters(max_codepoint=0xD7FF))
PLAIN_VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | INTS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(BMP_NAMES, inner, max_size=4),
    max_leaves=12,
)


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


CANONICAL: dict[str, tuple[Json, bytes]] = {
    "null": (None, b"null"),
    "booleans": ([True, False], b"[true,false]"),
    "largest integer": (2**53 - 1, b"9007199254740991"),
    "smallest integer": (-(2**53) + 1, b"-9007199254740991"),
    "empty object": ({}, b"{}"),
    "strings": (["a", "\x1f", "é"], '["a","\\u001f","é"]'.encode()),
    "strings and null": (["a", None], b'["a",null]'),
    "nested": ({"b": [{}, []], "a": {"d": 1, "c": 2}}, b'{"a":{"c":2,"d":1},"b":[{},[]]}'),
    # RFC 8785 section 3.2.2.2
    "escapes": ('€$\x0f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()),
    "short escapes": ("\b\t\n\f\r", b'"\\b\\t\\n\\f\\r"'),
    "delete is not escaped": ("\x7f", b'"\x7f"'),
    # RFC 8785 section 3.2.3: U+1F600 is D83D DE00, before U+FB33
    "keys by UTF-16 code units": (
        {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "ö": 7},
        '{"\\r":2,"1":4,"\x80":6,"ö":7,"€":1,"\U0001f600":5,"\ufb33":3}'.encode(),
    ),
}

NOT_CANONICAL: dict[str, Any] = {
    "float": 1.0,
    "not a number": float("nan"),
    "float inside": {"a": [0.5]},
    "2^53": 2**53,
    "-2^53": -(2**53),
    "tuple": ("a",),
    "bytes": b"a",
    "integer key": {1: "a"},
    "null key": {None: "a"},
    "lone surrogate": "\ud800",
    "lone surrogate in a key": {"\udfff": 1},
    "str enum": Colour.RED,
    "int enum": Number.ONE,
    "str enum among strings": ["a", Colour.RED],
    "lone surrogate among strings": ["a", "\ud800"],
    "float among strings": ["a", 1.0],
}

REFUSED_BYTES: dict[str, bytes] = {
    "empty": b"",
    "space": b'{"a": 1}',
    "newline": b"[]\n",
    "order": b'{"b":1,"a":2}',
    "repeated key": b'{"a":1,"a":1}',
    "needless escape": b'"\\u0041"',
    "upper-case escape": b'"\\u001F"',
    "escaped slash": b'"\\/"',
    "float": b"1.0",
    "exponent": b"1e2",
    "minus zero": b"-0",
    "leading zero": b"01",
    "not a number": b"NaN",
    "too large": b"9007199254740992",
    "endless digits": b"1" * 5000,
    "not UTF-8": b'"\xff"',
    "UTF-16": '"a"'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf[]",
    "too deep": b"[" * 100_000 + b"]" * 100_000,
    "cut": b'{"a":1',
}


@pytest.mark.parametrize(("value", "expected"), CANONICAL.values(), ids=CANONICAL)
def test_canonical_form(value: Json, expected: bytes) -> None:
    assert canonical(value) == expected
    assert parse_canonical(expected) == value


@pytest.mark.parametrize("value", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_a_value_without_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical(value)


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: Json = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="deeply"):
        canonical(value)


@pytest.mark.parametrize("data", REFUSED_BYTES.values(), ids=REFUSED_BYTES)
def test_bytes_in_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_canonical(data)


@given(VALUES)
def test_canonical_bytes_parse_to_the_value(value: Json) -> None:
    assert parse_canonical(canonical(value)) == value


@given(PLAIN_VALUES)
def test_canonical_is_the_compact_sorted_dump(value: Json) -> None:
    dumped = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == dumped.encode()


@given(st.binary())
def test_base64_round_trips(data: bytes) -> None:
    assert unb64url(b64url(data)) == data
    assert unb64(b64(data)) == data


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_base64url_of_each_is_that_of_one(parts: list[bytes]) -> None:
    assert b64url_each(parts) == [b64url(part).encode() for part in parts]


@pytest.mark.parametrize("text", ["_-8", "", "AA", "AAE", "AAEC"])
def test_base64url_has_one_spelling(text: str) -> None:
    assert b64url(unb64url(text)) == text


@pytest.mark.parametrize(
    "text", ["_-9", "+/8", "AB", "AA==", "A", "AAECA", " AA", "AA\n", "AÄ", "A.A", "AA=A"]
)
def test_another_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        unb64url(text)


@pytest.mark.parametrize("text", ["AA", "AB==", "_-8=", "AA==\n", "AA== ", "=", "AA=", "AA===", "AÄ=="])
def test_another_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        unb64(text)


def test_the_digest_of_a_fact_is_the_digest_in_hexadecimal() -> None:
    assert sha256_text(b"{}") == "sha256:" + sha256(b"{}").hex()
    assert sha256_text(b"{}").startswith("sha256:44136fa355b3678a")
