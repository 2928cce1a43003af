"""A searchset is taken apart the same by both ways, and whatever is not plain goes the long one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir import searchset
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.searchset import Page, read_page

FIRST, SECOND = b'{"resourceType":"Observation","id":"1"}', b'{"resourceType" : "Observation",\n"value":7.10}'
BODY = (
    b'{"resourceType":"Bundle","id":"b","meta":{"lastUpdated":"2025-01-01T00:00:00Z"},"type":"searchset",'
    b'"total":2,"link":[{"relation":"self","url":"http://up.example/O?a=b"},{"relation":"next","url":"http://n"}],'
    b'"entry":[{"fullUrl":"http://up.example/O/1","resource":%s,"search":{"mode":"match"}},'
    b'{"fullUrl":"http://up.example/O/2","resource":%s,"search":{"score":0.50}}]}' % (FIRST, SECOND)
)
LINKS = {"self": "http://up.example/O?a=b", "next": "http://n"}


def outcome(way: Any, body: bytes) -> Page | type[CodecError] | None:
    try:
        page: Page | None = way(body)
    except CodecError:
        return CodecError
    return page


def with_(change: bytes, instead_of: bytes) -> bytes:
    assert instead_of in BODY
    return BODY.replace(instead_of, change, 1)


def test_links_and_matches() -> None:
    assert searchset._short_way(BODY) == searchset._long_way(BODY) == Page(LINKS, [FIRST, SECOND], 2)


@pytest.mark.parametrize(
    ("search", "matches"),
    [
        (b"{}", [FIRST, SECOND]),
        (b'{"mode":"match"}', [FIRST, SECOND]),
        (b'{"mode":"include"}', [SECOND]),
        (b'{"mode":"outcome"}', [SECOND]),
        (b'{"mode":"Match"}', [SECOND]),
        (b'{"mode":null}', [SECOND]),
        (b'"match"', [SECOND]),
    ],
)
def test_only_matches(search: bytes, matches: list[bytes]) -> None:
    body = with_(search, b'{"mode":"match"}')
    assert read_page(body) == Page(LINKS, matches, 2)
    assert searchset._short_way(body) in (None, Page(LINKS, matches, 2))


NOT_STRICT = {
    "a second entry array": with_(b'"entry":[],"entry"', b'"entry"'),
    "a second entry array, escaped": with_(b'"\\u0065ntry":[],"entry"', b'"entry"'),
    "a second resource in an entry": with_(b'"resource":{"id":"2"},"resource"', b'"resource"'),
    "a second resource, behind": with_(b'"resource":{"id":"2"},"search"', b'"search"'),
    "a second type": with_(b'"type":"batch","type"', b'"type"'),
    "a second resourceType": with_(b'"resourceType":"Bundle","id":"b"', b'"id":"b"'),
    "a second mode": with_(b'"mode":"include","mode"', b'"mode"'),
    "a second url": with_(b'"url":"http://n","url":"http://m"', b'"url":"http://n"'),
    "a NUL in an address": with_(b"/O/1\\u0000", b"/O/1"),
    "a NUL in a link": with_(b"http://n\\u0000", b"http://n"),
    "a NUL in the id": with_(b'"id":"b\\u0000"', b'"id":"b"'),
    "a NUL in the meta": with_(b"2025-01-01T00:00:00Z\\u0000", b"2025-01-01T00:00:00Z"),
    "a NUL in a mode": with_(b'"include\\u0000"', b'"match"'),
    "a lone surrogate": with_(b"/O/1\\ud800", b"/O/1"),
    "not UTF-8": with_(b"/O/1\xff", b"/O/1"),
    "NaN": with_(b"NaN", b"0.50"),
    "another type": with_(b'"history"', b'"searchset"'),
    "another resource": with_(b'"Parameters"', b'"Bundle"'),
    "an entry that is no object": with_(b'1,{"fullUrl"', b'{"fullUrl"'),
    "a link without an address": with_(b'{"relation":"self"}', b'{"relation":"next","url":"http://n"}'),
    "two documents": BODY + b"{}",
    "half a document": BODY[:-1],
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "a resource that does not end": with_(b'"value":[[}', b'"value":7.10}'),
}


@pytest.mark.parametrize("body", NOT_STRICT.values(), ids=NOT_STRICT)
def test_what_readers_could_take_differently_is_refused(body: bytes) -> None:
    assert outcome(searchset._short_way, body) is None
    assert outcome(read_page, body) is CodecError


LONG_WAY = {
    "white space": with_(b'"total": 2', b'"total":2'),
    "an escaped slash": with_(b"\\/O/1", b"/O/1"),
    "an unknown member": with_(b'"total":2,"signature":{}', b'"total":2'),
    "an entry without a resource": with_(b'{"fullUrl":"x"},{"fullUrl"', b'{"fullUrl"'),
    "another order": with_(b'{"search":{"mode":"match"},"resource":{}},{"fullUrl"', b'{"fullUrl"'),
}


@pytest.mark.parametrize("body", LONG_WAY.values(), ids=LONG_WAY)
def test_another_spelling_goes_the_long_way(body: bytes) -> None:
    assert searchset._short_way(body) is None
    assert read_page(body).links == LINKS


def test_a_long_body_goes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searchset, "SHORT_BYTES", len(BODY))
    monkeypatch.setattr("gateway.core.fhir.codec.MAX_CONTAINERS", 9)
    assert read_page(BODY).links == LINKS
    with pytest.raises(CodecError, match="too large"):
        read_page(BODY + b" ")


PIECES = [
    b'"',
    b"\\",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\xff",
    b"null",
    b"1",
    b'"x":1,',
]


@given(st.data())
def test_the_short_way_says_what_the_long_way_says_or_nothing(data: st.DataObject) -> None:
    body = BODY
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 40)))
        piece = data.draw(st.sampled_from([b"", *PIECES]) | st.just(body[start:end] * 2))
        body = body[:start] + piece + body[end:]
    short = outcome(searchset._short_way, body)
    # What is inside a resource neither way has looked at yet.
    assert short is None or short == outcome(searchset._long_way, body)


def test_a_resource_is_not_changed() -> None:
    page = read_page(BODY)
    assert json.loads(page.matches[1]) == {"resourceType": "Observation", "value": 7.1}
    assert all(resource in BODY for resource in page.matches)
