"""The bytes that go out: constants, the address, and one ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.core.values import Ask
from gateway.upstream.request import LONGEST_QUERY, Requests

BASE = "http://records.example:8090/fhir"


def line(ask: Ask, base_url: str = BASE) -> str:
    return Requests(base_url, None).bytes_of(ask).split(b"\r\n")[0].decode()


def test_a_read_to_the_byte() -> None:
    assert Requests(BASE, "Basic abc").bytes_of(Ask("/Patient/pat-a")) == (
        b"GET /fhir/Patient/pat-a HTTP/1.1\r\n"
        b"Host: records.example:8090\r\n"
        b"Accept: application/fhir+json\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Prefer: handling=strict\r\n"
        b"User-Agent: consentry\r\n"
        b"Authorization: Basic abc\r\n"
        b"\r\n"
    )


def test_a_form_to_the_byte() -> None:
    value = "x" * LONGEST_QUERY
    assert Requests("https://records.example", None).bytes_of(Ask("/Patient", (("_id", value),))) == (
        b"POST /Patient/_search HTTP/1.1\r\n"
        b"Host: records.example\r\n"
        b"Accept: application/fhir+json\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Prefer: handling=strict\r\n"
        b"User-Agent: consentry\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 4004\r\n"
        b"\r\n"
        b"_id=" + value.encode()
    )


TARGETS = {
    "a read": (Ask("/Patient/a"), "/fhir/Patient/a"),
    "a search": (Ask("/Patient", (("name", "a b&c=d"),)), "/fhir/Patient?name=a%20b%26c%3Dd"),
    "no value": (Ask("/Patient", (("name", ""),)), "/fhir/Patient?name="),
    "one name twice": (Ask("/P", (("a", "1"), ("a", "2"))), "/fhir/P?a=1&a=2"),
    "other letters": (Ask("/P", (("name", "Müller/é"),)), "/fhir/P?name=M%C3%BCller%2F%C3%A9"),
    "line ends in a value": (Ask("/P", (("a", "x\r\nB: c\0"),)), "/fhir/P?a=x%0D%0AB%3A%20c%00"),
    "line ends in a name": (Ask("/P", (("a\r\nB: c", "x"),)), "/fhir/P?a%0D%0AB%3A%20c=x"),
    "a linked page": (Ask("", raw_query="_page=a%2Fb|c"), "/fhir?_page=a%2Fb|c"),
    "a long linked page": (Ask("", raw_query="p=" + "x" * 5000), "/fhir?p=" + "x" * 5000),
}


@pytest.mark.parametrize(("ask", "target"), TARGETS.values(), ids=TARGETS)
def test_targets(ask: Ask, target: str) -> None:
    assert line(ask) == f"GET {target} HTTP/1.1"


def test_a_base_without_a_path() -> None:
    assert line(Ask("/Patient/a"), "http://h") == "GET /Patient/a HTTP/1.1"
    assert line(Ask("", raw_query="p=1"), "http://h") == "GET /?p=1 HTTP/1.1"


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://h.example/fhir", "h.example"),
        ("http://h.example:80/fhir", "h.example"),
        ("https://h.example:443/fhir", "h.example"),
        ("https://h.example:80/fhir", "h.example:80"),
        ("http://h.example:443", "h.example:443"),
        ("http://[::1]:8090/fhir", "[::1]:8090"),
        ("http://[::1]/fhir", "[::1]"),
    ],
)
def test_host(base_url: str, host: str) -> None:
    assert Requests(base_url, None).bytes_of(Ask("/P")).split(b"\r\n")[1] == f"Host: {host}".encode()


@pytest.mark.parametrize(
    "odd", [" ", "\r", "\n", "\r\nB: c", "\0", "\t", "#", "é", "\x7f", "\u2028", "\ud800"]
)
def test_what_could_end_the_target_is_refused(odd: str) -> None:
    with pytest.raises(ValueError, match="not a request target"):
        line(Ask(f"/Patient/a{odd}b"))
    with pytest.raises(ValueError, match="not a request target"):
        line(Ask("", raw_query=f"a=b{odd}c"))


@pytest.mark.parametrize("odd", ["", " Basic a", "Basic a ", "a\r\nB: c", "a\nb", "a\0b", "a\tb", "é"])
def test_a_credential_that_is_no_header_value_is_refused(odd: str) -> None:
    with pytest.raises(errors.ConfigError) as refused:
        Requests(BASE, odd)
    assert "authorization" in refused.value.text
    assert not odd or odd not in refused.value.text


@given(st.text(), st.lists(st.tuples(st.text(), st.text())), st.text())
def test_nothing_in_an_ask_adds_a_line(path: str, query: list[tuple[str, str]], raw_query: str) -> None:
    try:
        request = Requests(BASE, None).bytes_of(Ask(path, () if raw_query else tuple(query), raw_query))
    except ValueError:
        return
    method, target, version = request.split(b"\r\n")[0].split(b" ")
    assert method in (b"GET", b"POST")
    assert target.startswith(b"/fhir")
    assert version == b"HTTP/1.1"
    form = method == b"POST"
    assert request.partition(b"\r\n\r\n")[0].count(b"\r\n") == (7 if form else 5)
    assert form or request.endswith(b"\r\n\r\n")
