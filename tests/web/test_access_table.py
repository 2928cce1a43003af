"""The access table of SMART App Launch over HTTP, by row numbers: who is let in, and what the rest is told.

Rows that a decision alone settles are in `tests/core/test_decide.py`. In front of the sandbox with the
synthetic hospital; Ann (`pat-a`) permits `app-1` and `app-2` all of her records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.gateway import Gateway, gateway, next_target
from tests.upstreams.sandbox import sandbox

PEOPLE = Path(__file__).parents[2] / "fixtures" / "people"
FILES = ("people", "observations", "series")
SYS = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB, LAB_C = (f"patient/Observation.{operations}?category={SYS}|laboratory" for operations in ("rs", "c"))
RS, ALL, CUDS = "patient/Observation.rs", "patient/*.rs", "patient/Observation.cuds"
FHIR = {"Content-Type": "application/fhir+json"}
SUBJECT = b'{"resourceType":"Observation","status":"final","code":{},"subject":{"reference":"Patient/pat-a"}}'
SUBJECT_B, NO_SUBJECT = SUBJECT.replace(b"pat-a", b"pat-b"), SUBJECT.partition(b',"subject"')[0] + b"}"
CATEGORY = b'{"category":[{"coding":[{"system":"%s","code":"%s"}]}],'
LAB_RESULT, VITAL_SIGN = (
    SUBJECT.replace(b"{", CATEGORY % (SYS.encode(), code), 1) for code in (b"laboratory", b"vital-signs")
)
PATCH = b'[{"op":"remove","path":"/status"}]'
BATCH = b"""{"resourceType":"Bundle","type":"batch","entry":[
    {"request":{"method":"GET","url":"Patient/pat-a"}},
    {"request":{"method":"GET","url":"Condition?patient=pat-a"}}]}"""
TRANSACTION = BATCH.replace(b"batch", b"transaction")
NEW_PATIENT = b"""{"resourceType":"Bundle","type":"transaction","entry":[
    {"fullUrl":"urn:uuid:6f0b5e9e-6d2a-4c9f-9a3c-0e5a1d6b7c8d","resource":{"resourceType":"Patient"},
     "request":{"method":"POST","url":"Patient"}},
    {"resource":{"resourceType":"Observation","status":"final","code":{},
     "subject":{"reference":"urn:uuid:6f0b5e9e-6d2a-4c9f-9a3c-0e5a1d6b7c8d"}},
     "request":{"method":"POST","url":"Observation"}}]}"""

NONE, INVALID, SCOPE = "Bearer", 'Bearer error="invalid_token"', 'Bearer error="insufficient_scope"'


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with sandbox() as upstream:
        for name in FILES:
            upstream.load(json.loads((PEOPLE / f"{name}.json").read_text()))
        with gateway(tmp_path_factory.mktemp("access"), upstream.base_url) as running:
            running.permit(grantees=["client:app-1", "client:app-2"])
            yield running
            running.check_everything()


# --- Who has no valid token --------------------------------------------------------------------------


class Refused(NamedTuple):
    """`scopes` None: no token is sent; `claims` over those of a sound one."""

    row: str
    scopes: str | None
    method: str
    target: str
    status: int
    challenge: str | None
    headers: Mapping[str, str] = {}
    claims: Mapping[str, Any] = {}
    body: bytes | None = None


UNAUTHENTICATED = [
    Refused("1", None, "GET", "Patient/pat-a", 401, NONE),
    Refused("1-search", None, "GET", "Observation?patient=pat-a", 401, NONE),
    Refused("1-post", None, "POST", "Observation", 401, NONE, FHIR, {}, SUBJECT),
    Refused("3", ALL, "GET", "Patient/pat-a", 401, INVALID, {}, {"iat": 1_000_000_000, "exp": 1_000_000_600}),
    Refused("4", ALL, "GET", "Patient/pat-a", 401, INVALID, {}, {"aud": "https://other.example/fhir"}),
    Refused("4-several", ALL, "GET", "Patient/pat-a", 401, INVALID, {}, {"aud": ["https://a.example/x"]}),
    Refused("5", None, "GET", "Patient/pat-a?access_token=x", 401, NONE),
    Refused("5-search", None, "GET", "Observation?code=1&access_token=x", 401, NONE),
    Refused("5-encoded", None, "GET", "Observation?%61ccess%5Ftoken=x", 401, NONE),
    Refused("5-both", ALL, "GET", "Patient/pat-a?access_token=x", 401, NONE),
    Refused("5-basic", None, "GET", "Patient/pat-a", 401, INVALID, {"Authorization": "Basic YTpi"}),
    Refused("59-no-token", None, "GET", "Group/1/$export", 401, NONE),
]
FORBIDDEN = [
    Refused("26", "patient/Observation.c", "POST", "Observation", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("27", "patient/Observation.c", "POST", "Observation", 403, SCOPE, FHIR, {}, SUBJECT_B),
    Refused("27-nobody", "patient/Observation.c", "POST", "Observation", 403, SCOPE, FHIR, {}, NO_SUBJECT),
    Refused("28", "patient/Observation.c", "PUT", "Observation/new1", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("29", "patient/Observation.u", "PUT", "Observation/new2", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("30", "patient/Observation.u", "PUT", "Observation/obs-b-00-0", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("31", "patient/Observation.u", "PUT", "Observation/obs-a-00-0", 403, SCOPE, FHIR, {}, SUBJECT_B),
    Refused("32", "patient/Observation.u", "PATCH", "Observation/obs-a-00-0", 403, SCOPE, FHIR, {}, PATCH),
    Refused("33", "patient/Observation.d", "DELETE", "Observation/obs-a-00-0", 403, SCOPE),
    Refused("33-foreign", "patient/Observation.d", "DELETE", "Observation/obs-b-00-0", 403, SCOPE),
    Refused("34-create", RS, "POST", "Observation", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("34-update", RS, "PUT", "Observation/obs-a-00-0", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("34-patch", RS, "PATCH", "Observation/obs-a-00-0", 403, SCOPE, FHIR, {}, PATCH),
    Refused("34-delete", RS, "DELETE", "Observation/obs-a-00-0", 403, SCOPE),
    Refused("35", "patient/Observation.write", "GET", "Observation/obs-a-00-0", 403, SCOPE),
    Refused("35-search", "patient/Observation.write", "GET", "Observation?patient=pat-a", 403, SCOPE),
    Refused("36", CUDS, "POST", "Observation", 403, SCOPE, {**FHIR, "If-None-Exist": "code=1"}, {}, SUBJECT),
    Refused("37", CUDS, "PUT", "Observation?identifier=abc", 403, SCOPE, FHIR, {}, SUBJECT),
    Refused("48", LAB_C, "POST", "Observation", 403, SCOPE, FHIR, {}, LAB_RESULT),
    Refused("48-outside", LAB_C, "POST", "Observation", 403, SCOPE, FHIR, {}, VITAL_SIGN),
    Refused("48-read", LAB_C, "GET", "Observation?patient=pat-a", 403, SCOPE),
    Refused("59-one-type", "system/Patient.rs", "GET", "Group/1/$export", 403, SCOPE),
    Refused("59-its-type", "system/Patient.rs", "GET", "Group/1/$export?_type=Patient", 403, SCOPE),
    Refused("59-all-types", "system/*.rs", "GET", "Group/1/$export", 403, SCOPE),
    Refused("59", "patient/Patient.rs", "GET", "Group/1/$export", 403, SCOPE),
    Refused("60", "patient/Patient.rs", "POST", "", 403, SCOPE, FHIR, {}, BATCH),
    Refused("60-subject-inside", ALL, "POST", "", 403, SCOPE, FHIR, {}, NEW_PATIENT),
    Refused("60-one-type", "patient/Patient.rs", "POST", "", 403, SCOPE, FHIR, {}, TRANSACTION),
    Refused("60-transaction", ALL, "POST", "", 403, SCOPE, FHIR, {}, TRANSACTION),
]


def answer_to(hospital: Gateway, case: Refused) -> httpx.Response:
    token = None if case.scopes is None else hospital.token(case.scopes, **case.claims)
    target = f"/fhir/{case.target}" if case.target else "/fhir"
    return hospital.send(case.method, target, token, headers=case.headers, content=case.body)


@pytest.mark.parametrize("case", UNAUTHENTICATED + FORBIDDEN, ids=lambda case: f"row-{case.row}")
def test_refused(hospital: Gateway, case: Refused) -> None:
    asked, recorded = len(hospital.upstream.asks), len(hospital.entries())
    answer = answer_to(hospital, case)
    assert (answer.status_code, answer.headers.get("www-authenticate")) == (case.status, case.challenge)
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert len(hospital.upstream.asks) == asked, "nothing is forwarded"
    assert len(hospital.entries()) == recorded + (case.status == 403)


@pytest.mark.parametrize("row", ["3", "4", "5-both", "34-create", "60"], ids=lambda row: f"row-{row}")
def test_the_same_without_the_fault_is_read(hospital: Gateway, row: str) -> None:
    """The client, its token and the patient of the refusals above are good for a read."""
    [case] = [case for case in UNAUTHENTICATED + FORBIDDEN if case.row == row]
    kind = "Observation/obs-a-00-0" if case.scopes == RS else "Patient/pat-a"
    assert hospital.get(f"/fhir/{kind}", hospital.token(case.scopes or ALL)).status_code == 200


def test_row_5_another_name_is_another_parameter(hospital: Gateway) -> None:
    answer = hospital.get("/fhir/Observation?access_tokens=x", hospital.token(ALL))
    assert answer.status_code == 400


def test_row_5_two_tokens_are_none(hospital: Gateway) -> None:
    good = ("Authorization", f"Bearer {hospital.token(ALL)}")
    assert hospital.raw("GET", "/fhir/Patient/pat-a", headers=[good]).status_code == 200
    answer = hospital.raw("GET", "/fhir/Patient/pat-a", headers=[good, good])
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID)


# --- What needs none ---------------------------------------------------------------------------------


def test_row_2_metadata_needs_no_token(hospital: Gateway) -> None:
    answer = hospital.get("/fhir/metadata")
    assert (answer.status_code, answer.json()["resourceType"]) == (200, "CapabilityStatement")


@pytest.mark.parametrize("target", ["/fhir/Patient/pat-a", "/fhir", "/fhir/Observation?code=1"])
def test_row_2_a_preflight_needs_no_token(hospital: Gateway, target: str) -> None:
    answer = hospital.send("OPTIONS", target)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("name", ["x", "openid-configuration", "x/y", "", "%00"])
@pytest.mark.parametrize("with_token", [True, False])
def test_row_2_what_is_not_well_known_is_not_there(hospital: Gateway, name: str, with_token: bool) -> None:
    answer = hospital.get(f"/fhir/.well-known/{name}", hospital.token(ALL) if with_token else None)
    assert answer.status_code == 404


# --- What is there and may not be seen ---------------------------------------------------------------


@pytest.mark.parametrize("scopes", [RS, LAB])
def test_rows_13_to_15_hidden_is_missing(hospital: Gateway, scopes: str) -> None:
    token = hospital.token(scopes)
    assert hospital.get("/fhir/Observation/obs-a-00-0", token).status_code == 200
    hidden, missing = (_seen(hospital.get(f"/fhir/Observation/{id}", token)) for id in ("obs-b-00-0", "nope"))
    assert hidden == missing
    assert hidden[0] == 404


def test_row_45_what_the_constraint_leaves_out_is_missing(hospital: Gateway) -> None:
    hidden = hospital.get("/fhir/Observation/obs-a-00-1", hospital.token(LAB))
    assert _seen(hidden) == _seen(hospital.get("/fhir/Observation/nope", hospital.token(LAB)))
    assert hospital.get("/fhir/Observation/obs-a-00-1", hospital.token(RS)).status_code == 200


def _seen(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """All that is the same whenever it is asked."""
    headers = {k: v for k, v in answer.headers.items() if k not in ("ledger-entry", "date")}
    return answer.status_code, headers, answer.content


# --- Pages -------------------------------------------------------------------------------------------


def test_row_50_a_page_link_is_for_the_token_that_got_it(hospital: Gateway) -> None:
    first = hospital.get("/fhir/Observation?_count=2", hospital.token(LAB))
    link = next_target(first.json())
    assert link is not None
    assert hospital.get(link, hospital.token(LAB)).status_code == 200
    asked = len(hospital.upstream.asks)
    others = {
        hospital.token(LAB, client_id="app-2"): 410,
        hospital.token(LAB, sub="user-2"): 410,
        hospital.token(RS): 410,
        hospital.token(LAB, "pat-b"): 403,  # that token opens nothing at all
    }
    assert [hospital.get(link, other).status_code for other in others] == [*others.values()]
    assert hospital.get(f"{link}x", hospital.token(LAB)).status_code == 410
    assert hospital.get(link).status_code == 401
    assert len(hospital.upstream.asks) == asked


@pytest.mark.parametrize("target", ["/fhir?_getpages=x", "/fhir/Observation?_getpages=x&_getpagesoffset=2"])
def test_row_50_a_page_of_the_record_server_is_not_known(hospital: Gateway, target: str) -> None:
    asked = len(hospital.upstream.asks)
    assert hospital.get(target, hospital.token(LAB)).status_code in (400, 403)
    assert len(hospital.upstream.asks) == asked
