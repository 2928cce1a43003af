"""Requests that want more than they may, and record servers that give more than they should.

Cases are data (`fixtures/walks/hostile`, format in `cases`); all of them run against every record server,
those on a plain socket under both HTTP parsers. The last check of each gateway is its whole ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.asgi import PARSERS, Parser
from tests.support.gateway import Gateway, gateway, next_target
from tests.support.shared import or_none
from tests.upstreams.base import Upstream
from tests.walk.canned import Canned
from tests.walk.cases import (
    Case,
    ask,
    cases_of,
    check,
    essence,
    read_cases,
    spoken,
    versions_in,
    with_versions,
)
from tests.walk.conftest import withhold_hiv
from tests.walk.data import VECTORS, versions

CASES = list(read_cases("hostile"))
STORED = [case for case in CASES if case.upstream is None]
CANNED = [case for case in CASES if case.upstream is not None]
WIRE = [case for case in STORED if case.raw]
VECTOR_CASES = list(cases_of(json.loads(VECTORS.read_text()), "vectors")) if VECTORS.exists() else []

# Every item of the threat catalogue about reading that a request or an answer can show.
ITEMS = {
    *(f"A{n}" for n in range(1, 16)),
    *(f"B{n}" for n in range(1, 15) if n not in (9, 13)),
    *("C1", "C2", "C3", "C4", "C5", "C8", "C9", "C10", "C11", "C12"),
    *(f"D{n}" for n in range(1, 11)),
    *(f"E{n}" for n in range(1, 7)),
    *(f"F{n}" for n in range(1, 12)),
    *(f"G{n}" for n in range(1, 7)),
    *("K1", "K2", "K3", "K4", "K6", "K7", "K8", "K9", "K10", "K11", "K13", "K14", "K15"),
    *("L1", "L2", "L3", "L4", "L5", "L6", "L8", "L9"),
    *("M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M10", "M12"),
    *("N1", "N2", "N3", "N5", "N6", "N7", "N8", "N9", "N11", "N12"),
}


def test_every_item_of_the_catalogue_has_a_case() -> None:
    assert {item for case in CASES for item in case.covers} >= ITEMS
    assert len({case.id for case in CASES}) == len(CASES)


# --- The table from outside --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", or_none([c for c in VECTOR_CASES if c.upstream is None and not c.raw]), ids=str
)
def test_vector(vectors: Gateway, upstream: Upstream, case: Case) -> None:
    _check_case(vectors, upstream, case)


@pytest.mark.parametrize("http", PARSERS)
def test_vectors_on_a_socket(
    vectors: Gateway, upstream: Upstream, http: Parser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with gateway(tmp_path_factory.mktemp("socket"), upstream.base_url, http=http) as running:
        withhold_hiv(running)
        for case in (case for case in VECTOR_CASES if case.raw):
            _check_case(running, upstream, case)
        running.check_everything()


@pytest.mark.parametrize(
    "address", ["http://upstream.internal:8080/fhir", "{upstream}"], ids=["inner", "own"]
)
@pytest.mark.parametrize("case", or_none([c for c in VECTOR_CASES if c.upstream is not None]), ids=str)
def test_vector_of_a_record_server(
    distrustful: Gateway, record_server: Canned, case: Case, address: str
) -> None:
    """With the address that the table has, and with the record server's own in its place."""
    text = json.dumps(case.upstream).replace("http://upstream.internal:8080/fhir", address)
    _check_canned(distrustful, record_server, replace(case, upstream=json.loads(text)))


def test_the_vectors_are_there(vector_table: Mapping[str, Any]) -> None:
    assert len(VECTOR_CASES) == len(vector_table["cases"]) >= 47


# --- Our own -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=PARSERS)
def wired(
    request: pytest.FixtureRequest, record_server: Canned, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Under each HTTP parser, in front of a record server that has Ann and her observations."""
    record_server.reset()
    patient = {"resourceType": "Patient", "id": "pat-a", "name": [{"family": "Almquist"}]}
    page = {"resourceType": "Bundle", "type": "searchset", "entry": []}
    folder = tmp_path_factory.mktemp("wired")
    with gateway(folder, record_server.base_url, http=request.param) as running:
        record_server.answer(path="/Patient/pat-a", body=patient)
        record_server.answer(path="/Observation", body=page)
        withhold_hiv(running)
        yield running
        running.check_everything()


@pytest.mark.parametrize("case", [case for case in STORED if not case.raw], ids=str)
def test_hostile(walks: Gateway, upstream: Upstream, case: Case) -> None:
    _check_case(walks, upstream, case)


@pytest.mark.parametrize("case", WIRE, ids=str)
def test_hostile_on_a_socket(wired: Gateway, case: Case) -> None:
    wired.upstream.asks.clear()
    check(case, ask(wired, case))
    if "upstream_calls" in case.expect:
        assert len(wired.upstream.asks) == case.expect["upstream_calls"], wired.upstream.asks


@pytest.mark.parametrize("case", CANNED, ids=str)
def test_hostile_record_server(distrustful: Gateway, record_server: Canned, case: Case) -> None:
    _check_canned(distrustful, record_server, case)


def test_no_page_is_empty_before_the_last(walks: Gateway) -> None:
    """A page whose records are all withheld is gone past (B9)."""
    pages = list(walks.follow("/fhir/Condition?_count=1", walks.token()))
    assert [len(page.json().get("entry", [])) for page in pages[:-1]] == [1] * (len(pages) - 1)
    assert "cond-a-hiv" not in "".join(page.text for page in pages)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("&".join(["code=1"] * 100), 200),
        ("&".join(["code=1"] * 101), 400),
        ("code=" + "1" * 8187, 200),
        ("code=" + "1" * 8188, 400),
    ],
    ids=["100 pairs", "101 pairs", "a pair of 8 KiB", "a longer one"],
)
def test_a_form_has_limits(house: Gateway, record_server: Canned, form: str, status: int) -> None:
    """L10: a form is read by the gateway's own parser."""
    record_server.answer(body={"resourceType": "Bundle", "type": "searchset", "entry": []})
    house.permit()
    assert house.post("/fhir/Observation/_search", house.token(), form).status_code == status
    assert len(record_server.requests) == (status == 200)


def test_a_page_is_for_who_was_linked_to_it(walks: Gateway) -> None:
    first = walks.get("/fhir/Observation?_count=2", walks.token())
    link = next_target(first.json())
    assert link is not None
    strangers = {
        "another client": walks.token(client_id="app-2"),
        "another user": walks.token(sub="user-2"),
        "another patient": walks.token(patient="pat-b"),
        "another issuer": walks.token(iss="https://gw.example"),
        "fewer scopes": walks.token("patient/Observation.rs"),
        "more scopes": walks.token("patient/*.rs user/*.rs"),
        "another purpose": walks.token(purpose_of_use=["TREAT", "HPAYMT"]),
    }
    for who, token in strangers.items():
        answer = walks.get(link, token)
        assert answer.status_code in (401, 403, 410), who
        assert "Observation/" not in answer.text, who
    assert walks.get(link.replace("/Observation?", "/Condition?"), walks.token()).status_code == 410
    assert walks.get(link[:-1] + ("A" if link[-1] != "A" else "B"), walks.token()).status_code == 410
    assert walks.get(link, walks.token()).status_code == 200


# --- How a case is run -------------------------------------------------------------------------------


def _check_case(running: Gateway, upstream: Upstream, case: Case) -> None:
    target, same_as = case.request["path"], case.expect.get("same_as")
    wanted = versions_in(target) + versions_in(same_as or "")
    first = {path: versions(upstream, path)[0] for path in wanted}
    running.upstream.asks.clear()
    answer = ask(running, case, with_versions(target, first))
    check(case, answer)
    assert urlsplit(upstream.base_url).netloc not in spoken(answer), case.why
    if "upstream_calls" in case.expect:
        assert len(running.upstream.asks) == case.expect["upstream_calls"], running.upstream.asks
    if same_as is not None:
        asked = len(running.upstream.asks)
        other = ask(running, case, with_versions(same_as, first))
        assert essence(answer) == essence(other), case.why
        assert len(running.upstream.asks) == 2 * asked, "hidden and missing records cost the same"


def _check_canned(running: Gateway, server: Canned, case: Case) -> None:
    assert case.upstream is not None
    server.reset()
    if any(path.startswith("/") for path in case.upstream):
        for path, reply in case.upstream.items():
            server.answer(path=path, **reply)
    else:
        server.answer(**case.upstream)
    answer = ask(running, case)
    check(case, answer)
    assert urlsplit(server.base_url).netloc not in spoken(answer), case.why
