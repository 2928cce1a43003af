"""JSON is read strictly, taken apart without loss, and edited only where the edit says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir import codec
from gateway.core.fhir.codec import DROP, CodecError

REFUSED = {
    "a key twice": b'{"a":1,"a":2}',
    "a key twice, once escaped": b'{"a":1,"\\u0061":2}',
    "a key twice, deep inside": b'{"a":[{"b":{"c":1,"c":1}}]}',
    "a lone leading surrogate": b'{"a":"\\ud800"}',
    "a lone trailing surrogate": b'{"a":"\\udc00"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "not UTF-8": b'{"a":"\xff"}',
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "a NUL": b'{"a":"\\u0000"}',
    "a NUL after an escaped backslash": b'{"a":"\\\\\\u0000"}',
    "a raw control character": b'{"a":"\x01"}',
    "a leading zero": b'{"a":01}',
    "a bare fraction": b'{"a":.5}',
    "a fraction without digits": b'{"a":1.}',
    "a plus sign": b'{"a":+1}',
    "single quotes": b"{'a':1}",
    "a trailing comma": b'{"a":1,}',
    "a comment": b'{"a":1}//',
    "two documents": b"{} {}",
    "nothing": b"",
    "one level too deep": b"[" * 65 + b"]" * 65,
    "very deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 65 + b"1" + b"}" * 65,
}

ACCEPTED = {
    "the same key in two objects": b'[{"a":1},{"a":2}]',
    "a surrogate pair": b'{"a":"\\ud83d\\ude00"}',
    "the text u0000 after a backslash": b'{"a":"\\\\u0000"}',
    "the deepest": b"[" * 64 + b"]" * 64,
    "many brackets side by side": b"[" + b",".join([b"[{}]"] * 200) + b"]",
    "a large exponent": b'{"a":1e999}',
    "white space": b' {\r\n"a" :\t1 } ',
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_refuses(data: bytes) -> None:
    with pytest.raises(CodecError):
        codec.parse(data)


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(data: bytes) -> None:
    codec.parse(data)


def test_refuses_what_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_BYTES", 10)
    codec.parse(b'"' + b"x" * 8 + b'"')
    with pytest.raises(CodecError):
        codec.parse(b'"' + b"x" * 9 + b'"')


def test_refuses_what_holds_too_much_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_CONTAINERS", 10)
    flat = b"[" + b",".join([b"{}"] * 9) + b"]"
    codec.parse(flat)
    for data in (flat[:-1] + b",[]]", b"[" * 11, b'["' + b"{" * 10 + b'"]'):
        with pytest.raises(CodecError, match="too large"):
            codec.parse(data)
    with pytest.raises(CodecError, match="too large"):
        codec.split_bundle(bundle(*[b"{}"] * 10))


NUMBERS = ["7.10", "1E3", "1e-7", "-0.0", "0.1000000000000000000000000000000000000001", "100.00", "1e999"]


@pytest.mark.parametrize("number", NUMBERS)
def test_number_text_is_kept_by_parse_edit_and_pretty(number: str) -> None:
    raw = b'{"value":%s,"gone":1}' % number.encode()
    assert str(codec.parse(raw)["value"]) == number
    assert codec.apply_edit(raw, {"gone": DROP}) == b'{"value":%s}' % number.encode()
    assert number.encode() in codec.pretty(raw)


# --- Bundles -------------------------------------------------------------------------------------


def bundle(*entries: bytes, frame: bytes = b'"resourceType":"Bundle","type":"searchset"') -> bytes:
    return b"{" + frame + b',"entry":[' + b",".join(entries) + b"]}"


def test_splits_a_bundle_into_its_frame_and_the_bytes_of_its_resources() -> None:
    first, second = b'{"resourceType" : "A",\n "v":7.10}', b'{"resourceType":"A"}'
    split = codec.split_bundle(
        bundle(b'{"fullUrl":"x","resource":%s}' % first, b'{"search":{}}', b'{"resource": %s }' % second)
    )
    assert split.resources == (first, None, second)
    assert split.frame["entry"] == [{"fullUrl": "x", "resource": 0}, {"search": {}}, {"resource": 0}]


def test_equal_resources_stay_apart() -> None:
    same = b'{"resourceType":"A","id":"1"}'
    split = codec.split_bundle(bundle(*[b'{"resource":%s}' % same] * 3))
    assert split.resources == (same, same, same)


BROKEN_BUNDLES = {
    "a second entry array": b'{"entry":[{"resource":{"a":1}}],"entry":[]}',
    "a second entry array, escaped": b'{"entry":[{"resource":{"a":1}}],"\\u0065ntry":[{"resource":{"a":2}}]}',
    "a second resource in an entry": bundle(b'{"resource":{"a":1},"resource":{"a":2}}'),
    "a second type": bundle(frame=b'"type":"searchset","type":"batch"'),
    "an entry that is no object": bundle(b"1"),
    "a resource whose text stands before it": bundle(b'{"fullUrl":"{}","resource":{}}'),
    "no object": b"[]",
    "entry is an object": b'{"entry":{}}',
    "not JSON": b'{"entry":[{"resource":{]}',
}


@pytest.mark.parametrize("data", BROKEN_BUNDLES.values(), ids=BROKEN_BUNDLES)
def test_refuses_a_bundle_that_readers_could_take_differently(data: bytes) -> None:
    with pytest.raises(CodecError):
        codec.split_bundle(data)


# --- Edits ---------------------------------------------------------------------------------------

EDITS: list[tuple[str, bytes, Any, bytes | None]] = [
    ("drops a member", b'{"a":1, "b" : [ 1, 2 ]}', {"a": DROP}, b'{"b":[ 1, 2 ]}'),
    ("drops what is not there", b'{"a":1}', {"b": DROP}, b'{"a":1}'),
    ("edits inside", b'{"a":{"b":7.10,"c":2}}', {"a": {"c": DROP}}, b'{"a":{"b":7.10}}'),
    ("replaces", b'{"a":1}', {"a": b'"x"'}, b'{"a":"x"}'),
    ("adds", b'{"a":1}', {"b": b"2"}, b'{"a":1,"b":2}'),
    ("empties an object and its parent", b'{"a":{"b":{"c":1}},"d":1}', {"a": {"b": {"c": DROP}}}, b'{"d":1}'),
    ("drops an element", b'{"a":[1,7.10,3]}', {"a": {0: DROP}}, b'{"a":[7.10,3]}'),
    ("empties an array", b'{"a":[1],"b":2}', {"a": {0: DROP}}, b'{"b":2}'),
    ("leaves nothing but nulls", b'{"a":[null,1,null],"b":2}', {"a": {1: DROP}}, b'{"b":2}'),
    ("leaves a null beside a value", b'{"a":[null,1,2]}', {"a": {1: DROP}}, b'{"a":[null,2]}'),
    ("edits elements", b'[{"x":1,"y":2},{"x":1}]', {0: {"x": DROP}, 1: b"null"}, b'[{"y":2},null]'),
    ("empties everything", b'{"a":1}', {"a": DROP}, None),
    ("keeps escapes elsewhere", b'{"a":"\\u00e9\\/","b":1}', {"b": DROP}, b'{"a":"\\u00e9\\/"}'),
]


@pytest.mark.parametrize(("raw", "edit", "want"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_edit(raw: bytes, edit: Any, want: bytes | None) -> None:
    assert codec.apply_edit(raw, edit) == want


def test_keeps_named_members_in_their_own_order() -> None:
    raw = b'{"a":1,"b":7.10,"c":[ 1]}'
    assert codec.keep_members(raw, ["c", "a", "z"]) == b'{"a":1,"c":[ 1]}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcd", max_size=2), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_parse_agrees_with_the_standard_library(value: Any) -> None:
    raw = json.dumps(value).encode()
    if b"\\u0000" in raw:
        return
    assert codec.parse(raw) == value


@given(
    st.dictionaries(st.text("abcd", min_size=1, max_size=2), json_values, min_size=2, max_size=5), st.data()
)
def test_dropping_a_member_is_what_deleting_it_would_be(value: dict[str, Any], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(value)))
    left = codec.apply_edit(json.dumps(value).encode(), {gone: DROP})
    assert left is not None
    assert json.loads(left) == {key: kept for key, kept in value.items() if key != gone}
