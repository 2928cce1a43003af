"""What a simulation says of a record that might be answered, of the consents in force and of a token that
ended, with near misses. Labels are found in records here, in front of a record server that is never asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, gateway
from tests.walk.canned import Canned
from tests.walk.steps import operator, simulated
from tests.walk.test_ended_tokens import end, issued
from tests.walk.ward import Ward, ward

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
HIV, FLU = ({"coding": [{"system": ICD, "code": code}]} for code in ("B20", "J11.1"))
ANN = {"reference": "Patient/pat-a"}


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory, record_server: Canned) -> Iterator[Gateway]:
    """A gateway without a consent."""
    with gateway(tmp_path_factory.mktemp("house"), record_server.base_url, timeout_s=2) as running:
        yield running
        running.check_everything()


@pytest.fixture
def hospital(tmp_path_factory: pytest.TempPathFactory, record_server: Canned) -> Iterator[Ward]:
    with ward(tmp_path_factory.mktemp("hospital"), record_server.base_url, timeout_s=2) as made:
        yield made
        made.running.check_everything()


def condition(code: dict[str, Any] = FLU, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c", "code": code, "subject": ANN, **more}


def labelled(code: str) -> dict[str, Any]:
    return {"meta": {"security": [{"system": ACT_CODE, "code": code}]}}


def prescription(**more: Any) -> dict[str, Any]:
    head = {"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order"}
    return {**head, "medicationCodeableConcept": FLU, "subject": ANN, **more}


def judged(running: Gateway, record: dict[str, Any], **claims: Any) -> dict[str, Any]:
    """What is said of the record, if it is read by the bearer of a token with these claims."""
    target = f"{record['resourceType']}/{record['id']}"
    told: dict[str, Any] = simulated(running, target, running.token(**claims), record)["record"]
    assert told["record"] == target
    return told


# --- Labels, and what is withheld for them ---------------------------------------------------------


RECORDS: list[tuple[dict[str, Any], bool, str, list[str], list[str]]] = [
    (condition(HIV), False, "denied", ["HIV"], []),
    (condition(), True, "consent", [], []),
    (condition(**labelled("HIV")), False, "denied", ["HIV"], []),
    (condition(HIV, **labelled("SUD")), False, "denied", ["HIV", "SUD"], []),
    (condition(**labelled("SUD")), True, "consent", ["SUD"], []),
    (prescription(reasonCode=[FLU, HIV]), True, "consent", ["HIV"], ["#/reasonCode/1"]),
    (prescription(reasonCode=[FLU]), True, "consent", [], []),
    (condition(encounter={"reference": "Encounter/e"}), False, "denied", ["undetermined"], []),
    (condition(HIV, subject={"reference": "Patient/pat-b"}), False, "scope", [], []),
]


def test_a_record_with_its_labels_shown_or_not(house: Gateway) -> None:
    house.permit()
    house.deny(labels=["HIV"])
    for record, shown, reason, labels, withheld in RECORDS:
        told = judged(house, record)
        assert (told["shown"], told["reason"]) == (shown, reason), record
        assert (told["labels"], told["withheld"]) == (labels, withheld), record
        assert (told["overridden"], told["beyond_role"]) == ([], [])


def test_where_no_rule_weighs_labels_they_are_those_that_a_record_comes_with(house: Gateway) -> None:
    house.permit()
    for record, labels in ((condition(HIV), []), (condition(HIV, **labelled("SUD")), ["SUD"])):
        told = judged(house, record)
        assert (told["shown"], told["labels"], told["withheld"]) == (True, labels, [])


def test_what_the_role_does_not_need(house: Gateway) -> None:
    house.permit(purposes=["TREAT", "HPAYMT"])
    patient = {"resourceType": "Patient", "id": "pat-a", "gender": "female", "telecom": [{"value": "1"}]}
    insurer = {"role": "payer", "case": "Claim/cl", "purpose_of_use": "HPAYMT"}
    for claims, beyond in ((insurer, ["#/telecom"]), ({}, [])):
        told = judged(house, patient, **claims)
        assert (told["shown"], told["beyond_role"], told["withheld"]) == (True, beyond, [])


# --- Consents and tokens ---------------------------------------------------------------------------


def test_a_broken_glass_names_the_denies_that_it_passes_over(hospital: Ward) -> None:
    running = hospital.running
    running.permit()
    denied = running.deny(labels=["HIV"])
    token = hospital.broken()["access_token"]
    told = simulated(running, "Condition/c", token, condition(HIV))["record"]
    assert (told["shown"], told["reason"]) == (True, "break_glass")
    assert told["overridden"] == [{"consent": denied["id"], "entry": denied["entry"], "node": "root"}]
    told = simulated(running, "Condition/c", token, condition())["record"]
    assert (told["shown"], told["overridden"]) == (True, [])


def test_the_consents_in_force_that_concern_who_asks(house: Gateway) -> None:
    permit, deny, stopped, gone = (
        house.permit(),
        house.deny(labels=["HIV"]),
        house.permit(scopes=["patient/Claim.rs"]),
        house.permit(scopes=["patient/Account.rs"]),
    )
    for other in ({"grantees": ["client:app-2"]}, {"purposes": ["HRESCH"]}, {"patient": "pat-b"}):
        house.permit(**other)
    house.revoke(gone["id"])
    told = [("permit", permit), ("deny", deny), ("permit", stopped)]
    assert in_force(house) == said(told)
    house.revoke(stopped["id"], stop=True)
    told[2] = ("deny", stopped)
    assert [each[:2] for each in in_force(house)] == [each[:2] for each in said(told)]


def in_force(house: Gateway) -> list[tuple[str, str, int]]:
    answer = simulated(house, "Condition?code=1", house.token())
    return [(one["consent"], one["effect"], one["entry"]) for one in answer["consents"]]


def said(consents: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str, int]]:
    return sorted((ref["id"], effect, ref["entry"]) for effect, ref in consents)


def test_a_permit_that_the_token_does_not_rest_on_is_in_force_too(house: Gateway) -> None:
    token = issued(house)
    other = house.permit()
    answer = simulated(house, "Condition?code=1", token.text)
    assert answer["token"]["consents"] != []
    assert other["id"] not in answer["token"]["consents"]
    told = {one["consent"]: one["effect"] for one in answer["consents"]}
    assert told == {name: "permit" for name in (*answer["token"]["consents"], other["id"])}


def test_a_token_that_was_ended(house: Gateway) -> None:
    token, other = issued(house), issued(house)
    assert simulated(house, "Condition?code=1", token.text)["permitted"]
    end(house, token)
    told = simulated(house, "Condition?code=1", token.text)
    assert (told["permitted"], told["step"], told["status"]) == (False, "token", 401)
    assert told["text"] == "The token was revoked."
    assert house.get("/fhir/Condition?code=1", token.text).status_code == 401
    assert simulated(house, "Condition?code=1", other.text)["permitted"]


def test_the_record_has_to_be_a_resource(house: Gateway) -> None:
    house.permit()
    body = {"request": "Condition/c", "token": house.token(), "record": {"id": "c"}}
    answer = operator(house, "POST", "/admin/simulate", body)
    assert (answer.status_code, answer.json()["error"][:26]) == (400, "The record cannot be used:")
