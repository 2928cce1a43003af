"""Addresses of the upstream become ours; those that lead inside, or carry a permission, go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.facts import Facts, facts_of
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")


def of(tree: Any) -> Facts:
    return facts_of(json.dumps(tree).encode(), R4, BASES)


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/a"}, **more}


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("http://upstream.internal:8080/fhir/Binary/b", "https://gw.example/fhir/Binary/b"),
        ("http://upstream.internal:8080/fhir", "https://gw.example/fhir"),
        ("http://upstream.internal:8080/actuator", None),
        ("http://upstream.internal:8080/fhir2/Binary/b", None),
        ("HTTP://Upstream.INTERNAL:8080/fhir/Binary/b", "https://gw.example/fhir/Binary/b"),
        ("http://me:pw@upstream.internal:8080/fhir/Binary/b", "https://gw.example/fhir/Binary/b"),
        ("http://upstream.internal:8080/fhir/Binary/b?sig=1", None),
        ("http://upstream.internal:8080/fhir/Binary/b#token=1", None),
        ("//internal/b?sig=1", None),
        ("//public.example/b", None),
        ("/internal/b", None),
        ("https:/public.example/x", None),
        ("https:public.example/x", None),
        ("https://public.example/x#token=1", None),
        ("HTTPS://public.example/x?sig=1", None),
        ("HTTP://PACS.LOCAL/x", None),
        ("http://pacs.local./x", None),
        ("http://LocalHost:8080/x", None),
        ("http://localhost.localdomain/x", None),
        ("http://a.localhost/x", None),
        ("http://127.1/x", None),
        ("http://2130706433/x", None),
        ("http://0x7f000001/x", None),
        ("http://1.2.3.0x4/x", None),
        ("http://010.8.8.8/x", None),
        ("http://100.64.0.1/x", None),
        ("http://public.example\\@pacs/x", None),
        ("http://public.example%2epacs/x", None),
        (" https://public.example/x", None),
        ("file:///etc/passwd", None),
        ("FILE:/etc/passwd", None),
        ("Binary/b?sig=1", None),
        ("", None),
        ("http://pacs.local/x", None),
        ("http://host/x", None),
        ("http://10.0.0.1/x", None),
        ("http://172.20.0.1/x", None),
        ("http://[::1]/x", None),
        ("ftp://public.example/x", None),
        ("https://user@public.example/x", None),
        ("https://public.example/x?token=1", None),
    ],
)
def test_attachment_addresses(url: str, becomes: str | None) -> None:
    tree = {**observation(), "resourceType": "DocumentReference", "content": [{"attachment": {"url": url}}]}
    assert of(tree).addresses == ((("content", 0, "attachment", "url"), becomes),)


@pytest.mark.parametrize(
    "url",
    [
        "Binary/b",
        "https://public.example/x.pdf",
        "HTTPS://Public.Example:8443/a/@b/x.pdf",
        "http://8.8.8.8/x",
        "http://100.128.0.1/x",
        "data:application/pdf;base64,JVBERi0=",
        "https://gw.example/fhir/Binary/b",
        "http://172.32.0.1/x",
        "urn:oid:1.2",
    ],
)
def test_attachment_addresses_that_stay(url: str) -> None:
    tree = {**observation(), "resourceType": "DocumentReference", "content": [{"attachment": {"url": url}}]}
    assert of(tree).addresses == ()


def test_an_escaped_address_is_found_too() -> None:
    text = rb"http:\/\/upstream.internal:8080\u002ffhir/x"
    raw = b'{"resourceType":"Observation","id":"x","note":[{"text":"%b"}]}' % text
    assert facts_of(raw, R4, BASES).addresses == ((("note", 0, "text"), "https://gw.example/fhir/x"),)


def test_an_extensions_url_is_a_name() -> None:
    assert of(observation(extension=[{"url": "http://intranet/x", "valueString": "v"}])).addresses == ()


UPSTREAMS = {
    "its own port unsaid": ("http://up.example/fhir", "http://up.example:80/fhir/x"),
    "its own port said": ("https://up.example:443/fhir", "https://up.example/fhir/x"),
    "no path": ("http://up.example", "http://up.example/x"),
    "a number": ("http://[::1]:8080/fhir", "http://[::1]:8080/fhir/x"),
}


@pytest.mark.parametrize(("upstream", "text"), UPSTREAMS.values(), ids=UPSTREAMS)
def test_the_upstreams_own_address(upstream: str, text: str) -> None:
    raw = json.dumps(observation(note=[{"text": f"see {text} and {text.upper()}"}])).encode()
    [(_, becomes)] = facts_of(raw, R4, Bases("https://gw.example/fhir", upstream)).addresses
    assert becomes is not None
    assert becomes.startswith("see https://gw.example/fhir/x and https://gw.example/fhir/")


@pytest.mark.parametrize("more", [{}, {"extension": [{"url": "x"}]}], ids=["quiet", "with an address"])
def test_the_upstream_is_found_by_a_letter_that_is_a_k_in_lower_case(more: dict[str, Any]) -> None:
    tree = observation(note=[{"text": "see http://\u212aiosk.example/fhir/x"}], **more)
    bases = Bases("https://gw.example/fhir", "http://kiosk.example/fhir")
    for raw in (json.dumps(tree).encode(), json.dumps(tree, ensure_ascii=False).encode()):
        [(_, becomes)] = facts_of(raw, R4, bases).addresses
        assert becomes == "see https://gw.example/fhir/x"


@pytest.mark.parametrize(
    "text", ["http://up.example.org/fhir/x", "http://up.examples/x", "http://up.example:8080/x"]
)
def test_another_host_is_not_the_upstream(text: str) -> None:
    raw = json.dumps(observation(note=[{"text": text}])).encode()
    assert facts_of(raw, R4, Bases("https://gw.example/fhir", "http://up.example/fhir")).addresses == ()


@pytest.mark.parametrize(
    ("url", "left_out"), [("https://s.example/x?sig=1", True), ("https://s.example/x", False)]
)
def test_an_extensions_address_is_judged(url: str, left_out: bool) -> None:
    place = ("extension", 0, "valueUrl")
    found = of(observation(extension=[{"url": "http://x.example/e?a#b", "valueUrl": url}]))
    assert found.addresses == (((place, None),) if left_out else ())
