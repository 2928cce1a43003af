"""Bytes in, bytes out: what a read returns is what was written, apart from id and meta."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.sandbox.document import only, parse, references, relink, stamp

MOMENT = datetime(2025, 3, 1, 12, tzinfo=UTC)
META = b'"meta":{"versionId":"3","lastUpdated":"2025-03-01T12:00:00.000+00:00"}'

WRITTEN = {
    "decimals": b'"a":[7.10,1.50E+3,8e-3,-0.0,-0,3.141592653589793238462643383279502884197]',
    "big integer": b'"a":123456789012345678901234567890',
    "escapes": rb'"a":"\u00e9\/\"\\ caf\u00E9"',
    "beyond ASCII": '"a":"患者 🙂"'.encode(),
    "white space inside": b'"a":{ "b" : [ 1 , 2 ] }',
    "empty": b'"a":{},"b":[],"c":""',
}


@pytest.mark.parametrize("members", WRITTEN.values(), ids=WRITTEN.keys())
def test_members_keep_their_bytes(members: bytes) -> None:
    written = b'{"resourceType":"Basic",' + members + b"}"
    assert (
        stamp(parse(written), "x", 3, MOMENT)
        == b'{"resourceType":"Basic","id":"x",' + META + b"," + members + b"}"
    )


def test_meta_keeps_what_is_not_the_servers() -> None:
    written = b'{"id":"mine","meta":{"versionId":"9","tag":[{"code":"t"}]},"resourceType":"Basic","z":1}'
    stamped = stamp(parse(written), "x", 3, MOMENT)
    assert stamped == b'{"resourceType":"Basic","id":"x",' + META[:-1] + b',"tag":[{"code":"t"}]},"z":1}'


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
))  # fmt: skip
def test_any_value_survives(value: object) -> None:
    written = json.dumps({"resourceType": "Basic", "value": value}).encode()
    stamped = stamp(parse(written), "x", 3, MOMENT)
    assert stamped.endswith(b'"value":' + json.dumps(value).encode() + b"}")
    assert parse(stamped).tree["id"] == "x"


REFUSED = {
    "not JSON": b"{",
    "a list": b"[]",
    "no type": b'{"id":"a"}',
    "a type that is no text": b'{"resourceType":1}',
    "a key twice": b'{"resourceType":"Basic","id":"a","id":"b"}',
    "NaN": b'{"resourceType":"Basic","a":NaN}',
    "not UTF-8": b'{"resourceType":"Basic","a":"\xff"}',
    "an id that is no text": b'{"resourceType":"Basic","id":1}',
    "a meta that is no object": b'{"resourceType":"Basic","meta":[]}',
    "more after the end": b'{"resourceType":"Basic"}{}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_resource_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body)


def test_references_are_found_where_they_are() -> None:
    body = (
        rb'{"a":{"reference":"Patient/1/_history/2"},"b":[{"reference" : "http:\/\/x\/Patient\/2"}],'
        rb'"c":"\"reference\":\"Patient/3\"","d":{"display":"Patient/4"}}'
    )
    assert references(body) == {"Patient/1", "http://x/Patient/2"}


def test_relinking_leaves_identifiers_alone() -> None:
    body = (
        b'{"subject":{"reference":"%b"},"url": "%b","identifier":{"value":"urn:uuid:1"},'
        b'"x":{"reference":"urn:uuid:2"}}'
    )
    links = {"urn:uuid:1": "Patient/7"}
    before, after = (body % (link, link) for link in (b"urn:uuid:1", b"Patient/7"))
    assert relink(before, links.get) == after


def test_a_part_keeps_the_companions_of_primitives() -> None:
    stored = b'{"resourceType":"Basic","id":"x","meta":{},"a":7.10,"_a":{"id":"1"},"b":1}'
    assert json.loads(only(stored, ["a"])).keys() == {"resourceType", "id", "meta", "a", "_a"}
    assert b'"a":7.10' in only(stored, ["a"])


async def test_over_http(empty: httpx.AsyncClient) -> None:
    for members in WRITTEN.values():
        written = b'{"resourceType":"Basic",' + members + b"}"
        created = await empty.post("/Basic", content=written)
        assert created.status_code == 201
        read = await empty.get(f"/Basic/{created.json()['id']}")
        assert read.content == created.content
        assert read.content.endswith(b"}," + members + b"}")
