"""What a preview says is what reads then give; a simulation says which rule decides, and reads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.data import load_walks

NURSE: dict[str, Any] = {"grantees": ["practitioner:prac-9"], "purposes": ["TREAT"]}
EVERYTHING: dict[str, Any] = {"patient": "pat-a", "scopes": ["patient/*.rs"]}
TYPES = ("Condition", "Observation")


@pytest.fixture(scope="module")
def ward(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Ann's records are open to `app-1`, but for what is labelled HIV."""
    load_walks(upstream)
    with gateway(tmp_path_factory.mktemp("ward"), upstream.base_url) as running:
        running.permit()
        running.deny(labels=["HIV"])
        yield running
        previews = [entry for entry in running.entries() if entry.facts.get("int") == "preview"]
        running.check_everything(unanswered=len(previews))


def operator(running: Gateway, path: str, body: object, status: int = 200) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {running.house.keys.operator_secret}"}
    response = running.client.post(f"/admin/{path}", json=body, headers=headers)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def viewer(answer: dict[str, Any], who: str) -> dict[str, Any]:
    [found] = [each for each in answer["viewers"] if each["who"] == [who]]
    return found  # type: ignore[no-any-return]


def read(running: Gateway, kind: str, token: str) -> set[str]:
    """What the bearer is shown of the type, on all pages."""
    pages = [page.json().get("entry", []) for page in running.follow(f"/fhir/{kind}?_count=20", token)]
    return {f"{kind}/{entry['resource']['id']}" for page in pages for entry in page}


def test_what_a_draft_would_show_is_what_it_shows_once_granted(ward: Gateway) -> None:
    draft: dict[str, Any] = {"patient": "pat-a", "scopes": [f"patient/{kind}.rs" for kind in TYPES], **NURSE}
    answer = operator(ward, "preview", {"draft": draft})
    told = viewer(answer, "practitioner:prac-9")
    assert viewer(answer, "client:app-1")["gained"] == viewer(answer, "client:app-1")["lost"] == []
    assert answer["whole"]
    assert len(answer["overruled_by"]) == 1  # by who denies what is labelled HIV

    granted = ward.permit(**draft)
    token = ward.token("user/*.rs", fhirUser="Practitioner/prac-9", client_id="app-9")
    shown = set[str]().union(*(read(ward, kind, token) for kind in TYPES))
    assert set(told["gained"]) == shown != set()
    assert {kind: told["types"][kind]["shown"] for kind in TYPES} == {
        kind: len([ref for ref in shown if ref.startswith(kind)]) for kind in TYPES
    }
    ward.revoke(granted["id"])


def test_what_is_hidden_and_by_which_node(ward: Gateway) -> None:
    draft = {"patient": "pat-a", "scopes": ["patient/Condition.rs"], **NURSE}
    told = viewer(operator(ward, "preview", {"draft": draft}), "practitioner:prac-9")
    hidden = told["types"]["Condition"]["hidden"]
    assert hidden > 0
    [denied] = [each for each in told["because"] if each["reason"] == "denied" and not each["shown"]]
    [node] = denied["nodes"]
    assert node["node"] == "root"
    assert node["entry"] is not None
    shown = next(each for each in told["because"] if each["shown"])
    assert shown["nodes"] == [{"consent": shown["nodes"][0]["consent"], "entry": None, "node": "root"}]


def test_a_draft_that_another_consent_undoes(ward: Gateway) -> None:
    draft = {"patient": "pat-a", "scopes": ["patient/Condition.rs"], "labels": ["HIV", "R"], **NURSE}
    answer = operator(ward, "preview", {"draft": draft})
    [undoing] = answer["overruled_by"]
    shown = ward.client.get(
        f"/admin/consents/{undoing['consent']}",
        headers={"Authorization": f"Bearer {ward.house.keys.operator_secret}"},
    ).json()
    assert (shown["effect"], shown["labels"]) == ("deny", ["HIV"])


def test_the_reading_has_an_entry_of_its_own(ward: Gateway) -> None:
    answer = operator(ward, "preview", {"draft": {**EVERYTHING, **NURSE}})
    entry = ward.entries()[answer["entry"]]
    assert entry.kind == "read.permit"
    facts = entry.facts
    assert (facts["int"], facts["act"], facts["pat"]) == ("preview", "operator", "Patient/pat-a")
    assert sum(facts["rty"].values()) == answer["records"] == len(entry.attachments["rids"].splitlines())


def test_nobody_else_is_read(ward: Gateway) -> None:
    before = len(ward.upstream.asks)
    operator(ward, "preview", {"draft": {**EVERYTHING, **NURSE}})
    asked = ward.upstream.asks[before:]
    assert asked
    assert all("pat-a" in str(ask.query) or ask.raw_query or ("_id" in dict(ask.query)) for ask in asked)


def test_two_consents_compared(ward: Gateway) -> None:
    first = ward.permit(scopes=["patient/Condition.rs"], grantees=["practitioner:prac-8"])
    second = ward.permit(scopes=["patient/Observation.rs"], grantees=["practitioner:prac-8"])
    answer = operator(ward, "compare", {"first": first["id"], "second": second["id"]})
    told = viewer(answer, "practitioner:prac-8")
    assert {ref.partition("/")[0] for ref in told["gained"]} == {"Observation"}
    assert {ref.partition("/")[0] for ref in told["lost"]} == {"Condition"}
    for ref in (first, second):
        ward.revoke(ref["id"])


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("preview", {"draft": EVERYTHING}, "at least one grantee"),
        ("preview", {"draft": {"patient": "pat-a", **NURSE}}, "at least one scope"),
        ("preview", {"draft": {}, "unknown": 1}, "does not fit"),
        ("preview", {"draft": {**EVERYTHING, **NURSE}, "as": [["x"]]}, "Who looks"),
        ("preview", {"draft": {**EVERYTHING, **NURSE}, "upstream": "b"}, "upstream"),
        ("simulate", {"request": "metadata", "token": ""}, "simulated"),
    ],
    ids=["nobody", "nothing", "unknown member", "no viewer", "another upstream", "no records"],
)  # fmt: skip
def test_refused(ward: Gateway, path: str, body: object, says: str) -> None:
    before = len(ward.entries())
    answer = operator(ward, path, body, 200 if path == "simulate" else 400)
    assert says in (answer.get("text") or answer["error"])
    assert len(ward.entries()) == before


# --- Simulations -----------------------------------------------------------------------------------


def simulated(running: Gateway, request: str, token: str, record: object = None) -> dict[str, Any]:
    """The answer; nothing was asked or recorded for it."""
    asked, written = len(running.upstream.asks), len(running.entries())
    body = {"request": request, "token": token, **({} if record is None else {"record": record})}
    answer = operator(running, "simulate", body)
    assert (len(running.upstream.asks), len(running.entries())) == (asked, written)
    return answer


def test_a_permitted_search(ward: Gateway) -> None:
    answer = simulated(ward, "Observation?code=1", ward.token("patient/Observation.rs"))
    assert (answer["permitted"], answer["patients"]) == (True, ["pat-a"])
    assert {name: answer["token"][name] for name in ("role", "organization", "case")} == {
        "role": None,
        "organization": None,
        "case": None,
    }
    assert answer["consents"]
    assert all(consent.keys() == {"consent", "entry", "effect"} for consent in answer["consents"])
    [ask] = answer["asks"]
    assert ask["path"] == "/Observation"
    assert ["patient", "Patient/pat-a"] in ask["query"] or ["subject", "Patient/pat-a"] in ask["query"]


@pytest.mark.parametrize(
    ("request_", "claims", "step", "reason"),
    [
        ("Observation?nonsense=1", {}, "request", None),
        ("Observation?code=1", {"exp": 1}, "token", None),
        ("Condition?code=1", {"scopes": "patient/Observation.rs"}, "decision", "scope"),
        (
            "Observation?code=1",
            {"client_id": "app-7", "fhirUser": "Practitioner/p"},
            "decision",
            "no_consent",
        ),
        ("Observation?code=1", {"purpose_of_use": "HMARKT"}, "decision", "purpose"),
    ],
    ids=["request", "token", "scope", "consent", "purpose"],
)
def test_refused_where_the_walk_refuses(
    ward: Gateway, request_: str, claims: dict[str, object], step: str, reason: str | None
) -> None:
    token = ward.token(**{"scopes": "patient/*.rs", **claims})  # type: ignore[arg-type]
    answer = simulated(ward, request_, token)
    assert (answer["permitted"], answer["step"], answer["reason"]) == (False, step, reason)
    real: httpx.Response = ward.get(f"/fhir/{request_}", token)
    assert real.status_code == answer["status"]


def test_a_record_that_might_be_answered(ward: Gateway) -> None:
    hiv = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
    token = ward.token("patient/Observation.rs")
    for security, shown, reason in (([hiv], False, "denied"), ([], True, "consent")):
        record: dict[str, Any] = {
            "resourceType": "Observation",
            "id": "o-1",
            "meta": {"security": security},
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": "Patient/pat-a"},
        }
        told = simulated(ward, "Observation/o-1", token, record)["record"]
        assert (told["record"], told["shown"], told["reason"]) == ("Observation/o-1", shown, reason)
        assert len(told["nodes"]) == 1
        assert told["labels"] == [label["code"] for label in security]
        assert (told["withheld"], told["beyond_role"], told["overridden"]) == ([], [], [])
    assert json.dumps(told).count("http") == 0  # references and reasons, no content
