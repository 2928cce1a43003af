"""What a preview says of records that it did not read, and of FHIR Consents at the operator API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import preview
from tests.core.consent.fhir.said import resource
from tests.support.gateway import Gateway, gateway
from tests.walk.canned import Canned
from tests.walk.faults import observation, page

DRAFT = {"patient": "pat-a", "grantees": ["client:app-1"], "scopes": ["patient/*.rs"], "purposes": ["TREAT"]}
TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
CONDITION = {"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}
NESTED: dict[str, Any] = {
    "decision": "permit",
    "provision": [{"purpose": [TREAT], "provision": [{"resourceType": [CONDITION]}]}],
}
APP = [["client:app-1"]]


@pytest.fixture(scope="module")
def desk(record_server: Canned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Only previews are asked of it."""
    with gateway(tmp_path_factory.mktemp("desk"), record_server.base_url) as running:
        yield running
        previews = [entry for entry in running.entries() if entry.facts.get("int") == "preview"]
        running.check_everything(unanswered=len(previews))


@pytest.fixture(autouse=True)
def records(desk: Gateway, record_server: Canned) -> None:
    """Three observations and a condition, and nothing else."""
    record_server.reset()
    record_server.answer(body=page())
    record_server.answer(path="/Observation", body=page(*(observation(id) for id in ("x", "y", "z"))))
    condition = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/pat-a"}}
    record_server.answer(path="/Condition", body=page(condition))


def asked(desk: Gateway, body: object, status: int = 200) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {desk.house.keys.operator_secret}"}
    answer = desk.client.post("/admin/preview", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_everything_was_read(desk: Gateway) -> None:
    told = asked(desk, {"draft": DRAFT})
    assert (told["records"], told["whole"], told["unread"], told["warnings"]) == (4, True, [], [])


def test_it_reads_by_the_patients_own_right(record_server: Canned, tmp_path: Path) -> None:
    """Which takes no role, though tokens have to have one."""
    extra = "\n[consent]\nrole_required = true\n"
    with gateway(tmp_path, record_server.base_url, timeout_s=5, extra=extra) as strict:
        answer = asked(strict, {"draft": DRAFT})
    assert (answer["records"], answer["whole"], answer["unread"]) == (4, True, [])


def test_types_that_were_not_read_are_named(desk: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Condition", status=500, body={})
    told = asked(desk, {"draft": DRAFT})
    assert (told["records"], told["unread"]) == (3, ["Condition"])


@pytest.mark.parametrize(("most", "judged", "whole"), [(2, 2, False), (3, 3, False), (5, 4, True)])
def test_of_more_records_than_are_judged_a_part_is_told(
    desk: Gateway, monkeypatch: pytest.MonkeyPatch, most: int, judged: int, whole: bool
) -> None:
    monkeypatch.setattr(preview, "MAX_RECORDS", most)
    told = asked(desk, {"draft": DRAFT})
    assert (told["records"], told["whole"], told["unread"]) == (judged, whole, [])


@pytest.mark.parametrize("version", ["5.0", None], ids=["R5", "the usual release"])
def test_a_fhir_consent(desk: Gateway, version: str | None) -> None:
    if version is None:
        rule = {"provision": {"type": "deny", "provision": [{"type": "permit", "purpose": [TREAT]}]}}
        body: dict[str, Any] = {"fhir": resource("R4", rule), "as": APP}
    else:
        body = {"fhir": resource("R5", {**NESTED, "decision": "deny"}), "fhirVersion": version, "as": APP}
    [viewer] = asked(desk, body)["viewers"]
    shown = {kind: count["shown"] for kind, count in viewer["types"].items()}
    assert shown == {"Observation": 3, "Condition": 1 if version is None else 0}
    assert not [entry for entry in desk.entries() if entry.kind.startswith("consent")]


def test_what_is_wrong_with_a_fhir_consent_is_told_with_places(desk: Gateway) -> None:
    before = len(desk.entries())
    tree = resource("R5", {"status": "draft", "provision": [{"purpose": [TREAT]}]})
    told = asked(desk, {"fhir": tree, "fhirVersion": "5.0", "as": APP}, 422)
    assert {problem["place"] for problem in told["problems"]} == {"Consent.status", "Consent.decision"}
    assert all(f"{problem['place']}: {problem['text']}" in told["error"] for problem in told["problems"])
    assert len(desk.entries()) == before


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "one of them"),
        ({"fhir": None}, 400, "one of them"),
        ({"draft": DRAFT, "fhir": resource("R5", NESTED)}, 400, "one of them"),
        ({"draft": DRAFT, "change": "?"}, 404, "no consent ?"),
        ({"draft": DRAFT, "fhirVersion": "4.0"}, 400, "fhirVersion"),
        ({"draft": DRAFT, "supersede": ["c"]}, 400, "supersede"),
        ({"fhir": resource("R5", NESTED), "fhirVersion": "3.0"}, 400, "4.0, 4.3, 5.0"),
        ({"fhir": resource("R4", {"provision": {"type": "deny"}}), "change": "c"}, 404, "no consent c"),
        ({"fhir": resource("R4", {"provision": {"type": "deny"}}), "supersede": ["?"]}, 400, "by their ids"),
        ({"fhir": 7}, 422, "cannot be taken"),
    ],
    ids=[
        "neither", "null", "both", "a draft changes none", "a draft's release", "a draft's supersede",
        "no release", "changes none", "supersedes none", "no resource",
    ],
)  # fmt: skip
def test_refused(desk: Gateway, body: dict[str, Any], status: int, says: str) -> None:
    before = len(desk.entries())
    assert says in asked(desk, {**body, "as": APP}, status)["error"]
    assert len(desk.entries()) == before
