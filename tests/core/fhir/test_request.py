"""The request grammar: cases in fixtures/requests, the hostile collection when it is there, and laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.query import format_pairs, parse_pairs
from gateway.core.fhir.request import check_refused_body, parse_request
from gateway.core.values import FhirRequest, Interaction
from gateway.errors import ConsentryError, Forbidden
from gateway.mapping import load_catalogue
from tests.support.shared import shared_file

ROOT = Path(__file__).parents[3]
BASE = "https://gw.example/fhir"


def ask(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> FhirRequest:
    path, _, query = target.encode().partition(b"?")
    return parse(method, path, query, headers or {}, body)


def parse(method: str, path: bytes, query: bytes, headers: dict[str, str], body: bytes) -> FhirRequest:
    catalogue = load_catalogue("R4")
    try:
        return parse_request(method, path, query, headers, body, catalogue, own_bases=(BASE,), max_count=100)
    except Forbidden:
        check_refused_body(headers, body, catalogue)
        raise


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted((ROOT / "fixtures" / "requests").glob("*.json"))
        for case in json.loads(path.read_text("utf-8"))["cases"]
    ]


@pytest.mark.parametrize("case", cases())
def test_case(case: dict[str, Any]) -> None:
    send = (case["method"], case["target"], case.get("headers"), case.get("body", "").encode())
    if "status" in case:
        with pytest.raises(ConsentryError) as caught:
            ask(*send)
        assert caught.value.status == case["status"]
        if "reason" in case:
            assert isinstance(caught.value, Forbidden)
            assert caught.value.reason == case["reason"]
    else:
        assert seen(ask(*send)) == {"terms": []} | case["request"]


def seen(request: FhirRequest) -> dict[str, Any]:
    """What differs from an empty request, in the form of the fixtures."""
    plain = FhirRequest(Interaction.READ)
    found: dict[str, Any] = {"interaction": request.interaction.value}
    for name in (
        "type",
        "id",
        "version",
        "sort",
        "count",
        "page",
        "if_none_match",
        "if_modified_since",
        "head",
    ):
        value = getattr(request, name)
        if value != getattr(plain, name):
            found[name] = list(value) if isinstance(value, tuple) else value
    shape = {
        name: list(value) if isinstance(value, tuple) else value
        for name in ("summary", "elements", "pretty")
        if (value := getattr(request.shape, name)) != getattr(plain.shape, name)
    }
    return (
        found | ({"shape": shape} if shape else {}) | {"terms": [f"{t.key}={t.text}" for t in request.terms]}
    )


def test_hostile_requests_parse_or_fail_as_expected() -> None:
    for case in json.loads(shared_file("vectors/hostile.json").read_text("utf-8"))["cases"]:
        sent = case["request"]
        if not sent["path"].startswith("/fhir"):
            continue  # another address altogether, never given to this grammar
        body = sent.get("body", "")
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        headers = {k.lower(): v for k, v in sent.get("headers", {}).items()}
        status = status_of(sent["method"], sent["path"].removeprefix("/fhir"), headers, data)
        assert status in (None, *case["expect"]["statuses"]), case["id"]


def status_of(method: str, target: str, headers: dict[str, str], body: bytes) -> int | None:
    try:
        ask(method, target, headers, body)
    except ConsentryError as refusal:
        return refusal.status
    return None


@pytest.mark.parametrize(
    ("target", "query"),
    [
        (
            "/Observation?_count=500&subject=pat-a&_format=application/fhir%2Bjson",
            "_count=100&subject=Patient/pat-a&_format=json",
        ),
        ("/Observation?subject:Patient=pat-a&_sort=-date", "subject=Patient/pat-a&_sort=-date"),
        ("/Patient/pat-a/Observation?code=a%7Cb", "patient=Patient/pat-a&code=a|b"),
        ("/Observation?code=a&_pretty=true&code=b", "code=a&_pretty=true&code=b"),
    ],
)
def test_the_query_is_what_was_understood_in_order(target: str, query: str) -> None:
    assert unquote(format_pairs(ask("GET", target).query)) == query


def test_one_grammar_for_get_and_post() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    by_post = ask("POST", "/Observation/_search?code=a", form, b"subject=pat-a&_count=3")
    assert by_post == ask("GET", "/Observation?code=a&subject=pat-a&_count=3")


BYTES = st.binary(max_size=60)
PIECES = st.lists(
    st.sampled_from(
        [
            b"/",
            b"Observation",
            b"Patient",
            b"pat-a",
            b"_history",
            b"_search",
            b"1",
            b"..",
            b"%2F",
            b"$x",
            b"metadata",
        ]
    ),
    max_size=6,
).map(b"".join)
QUERIES = st.lists(
    st.sampled_from(
        [
            b"code",
            b"patient",
            b"_count",
            b"date",
            b"=",
            b"=",
            b"&",
            b"5",
            b"pat-a",
            b"2020",
            b"%2C",
            b",",
            b":not",
            b"+",
            b"%C3%A9",
            b"%",
            b"_sort",
            b"\\",
            b"|",
            b"$",
            b"_format",
            b"json",
            b"\xff",
            b"_page",
            b".",
        ]
    ),
    max_size=12,
).map(b"".join)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "get", "TRACE"])
HEADERS = st.dictionaries(
    st.sampled_from(
        ["accept", "content-type", "if-none-match", "if-modified-since", "content-encoding", "range"]
    ),
    st.one_of(
        st.sampled_from(["*/*", "application/fhir+json", "application/x-www-form-urlencoded", '"a"']),
        st.text(max_size=20),
    ),
)


@given(METHODS, PIECES | BYTES, QUERIES | BYTES, HEADERS, QUERIES | BYTES)
def test_nothing_but_our_errors_and_what_is_accepted_stays_accepted(
    method: str, path: bytes, query: bytes, headers: dict[str, str], body: bytes
) -> None:
    try:
        request = parse(method, path, query, headers, body)
    except ConsentryError:
        return
    again = f"/{request.type}" if request.type else "/metadata"
    again += f"/{request.id}" if request.id else ""
    again += f"/_history/{request.version}" if request.version else ""
    text = again + "?" + format_pairs(request.query)
    assert all(0x21 <= ord(c) <= 0x7E for c in text)
    parsed = ask("HEAD" if request.head else "GET", text.rstrip("?"))
    assert (
        parsed.interaction,
        parsed.terms,
        parsed.sort,
        parsed.count,
        parsed.page,
        parsed.shape,
        parsed.query,
    ) == (
        request.interaction,
        request.terms,
        request.sort,
        request.count,
        request.page,
        request.shape,
        request.query,
    )


NAMES = st.from_regex(r"[_A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)
VALUES = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffd"), min_size=1, max_size=20
)


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=20))
def test_pairs_survive_being_written_and_read(pairs: list[tuple[str, str]]) -> None:
    assert list(parse_pairs(format_pairs(pairs).encode("ascii"))) == pairs
