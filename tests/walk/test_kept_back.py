"""What law, a consent or a role keeps back stays back by every way to it, and looks like nothing."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway
from tests.walk.canned import Canned, message
from tests.walk.faults import observation, page
from tests.walk.test_fhir_consents import R4, sent

HL7 = "http://terminology.hl7.org/CodeSystem"
ACT_CODE = f"{HL7}/v3-ActCode"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
SNOMED = "http://snomed.info/sct"
HELD = {"meta": {"versionId": "1", "security": [{"system": ACT_CODE, "code": "LEGALHOLD"}]}}
MYSELF = {"resourceType": "Patient", "id": "pat-a", "birthDate": "1970-01-01"}


def receipts(answer: httpx.Response) -> int:
    return len(answer.headers.get_list("ledger-entry"))


def denied_by_fhir(house: Gateway, provision: dict[str, Any], patient: str = "pat-a") -> str:
    """A FHIR Consent that permits, but for what the provision names."""
    who = {"reference": f"Patient/{patient}"}
    consent: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": f"{HL7}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": who,
        "performer": [who],
        "dateTime": "2026-01-01",
        "provision": {"type": "deny", **provision},
    }
    return sent(house, consent, R4)


# --- By oneself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", ["openid fhirUser patient/*.rs", "openid fhirUser"])
def test_a_legal_hold_counts_for_ones_own_resource(
    house: Gateway, record_server: Canned, scopes: str
) -> None:
    token = house.token(scopes, fhirUser="Patient/pat-a")
    record_server.answer(path="/Patient/pat-a", body=MYSELF)
    assert house.get("/fhir/Patient/pat-a", token).status_code == 200
    record_server.answer(path="/Patient/pat-a", body={**MYSELF, **HELD})
    assert house.get("/fhir/Patient/pat-a", token).status_code == 404


# --- In a container --------------------------------------------------------------------------------


MEDICATION = {"resourceType": "Medication", "id": "med", "code": {"text": "BURIED"}}
CONDITION = {
    "resourceType": "Condition",
    "id": "con",
    "subject": {"reference": "Patient/pat-a"},
    "code": {"text": "BURIED"},
}
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "m",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/pat-a"},
}
DRUG = {**ORDER, "contained": [MEDICATION], "medicationReference": {"reference": "#med"}}
REASON = {**ORDER, "contained": [CONDITION], "reasonReference": [{"reference": "#con"}]}


def read_order(house: Gateway, record_server: Canned, body: dict[str, Any], token: str | None = None) -> str:
    record_server.answer(path="/MedicationRequest/m", body=body)
    answer = house.get("/fhir/MedicationRequest/m", token or house.token())
    assert answer.status_code == 200
    return answer.text


def test_a_contained_record_of_nobodys_is_denied_like_one_that_stands_alone(
    house: Gateway, record_server: Canned
) -> None:
    house.permit()
    assert "BURIED" in read_order(house, record_server, DRUG)
    house.deny(scopes=["patient/Medication.rs"])
    text = read_order(house, record_server, DRUG)
    assert "BURIED" not in text
    assert "#med" not in text


def test_a_contained_record_of_a_class_that_is_denied_stays_behind(
    house: Gateway, record_server: Canned
) -> None:
    house.permit()
    denied_by_fhir(house, {"class": [{"system": RESOURCE_TYPES, "code": "Medication"}]})
    assert "BURIED" not in read_order(house, record_server, DRUG)


def test_a_stopped_consent_denies_what_is_contained(house: Gateway, record_server: Canned) -> None:
    house.permit(scopes=["patient/MedicationRequest.rs"])
    given = house.permit(scopes=["patient/Condition.rs"])
    assert "BURIED" in read_order(house, record_server, REASON)
    house.revoke(given["id"], stop=True)
    assert "BURIED" not in read_order(house, record_server, REASON)


def test_a_role_without_a_type_gets_none_of_it_contained(house: Gateway, record_server: Canned) -> None:
    house.permit()
    held = {"url": "https://x.example/y", "valueReference": {"reference": "#med"}}
    performer = [{"reference": "Organization/o"}]
    record = observation(contained=[MEDICATION], extension=[held], performer=performer)
    record_server.answer(path="/Observation/x", body=record)
    answer = house.get("/fhir/Observation/x", house.token(role="laboratory", organization="Organization/o"))
    assert answer.status_code == 200
    assert "BURIED" not in answer.text


# --- By another name -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "status"),
    [
        (SNOMED, 404),
        (f"{SNOMED}/", 404),
        (f"{SNOMED}|2024", 404),
        (f"{SNOMED}/900000000000207008", 404),
        ("https://snomed.info/sct", 404),
        ("urn:oid:2.16.840.1.113883.6.96", 404),
        ("http://loinc.org", 200),
    ],
)
def test_a_code_is_denied_by_every_name_of_its_system(
    house: Gateway, record_server: Canned, system: str, status: int
) -> None:
    house.permit()
    denied_by_fhir(house, {"code": [{"coding": [{"system": SNOMED, "code": "165816005"}]}]})
    code = {"coding": [{"system": system, "code": "165816005"}]}
    record_server.answer(path="/Observation/x", body=observation(code=code))
    assert house.get("/fhir/Observation/x", house.token()).status_code == status


# --- With others -----------------------------------------------------------------------------------


def appointment(*patients: str, **more: Any) -> dict[str, Any]:
    actors = [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"} for patient in patients]
    return {
        "resourceType": "Appointment",
        "id": "x",
        "meta": {"versionId": "1"},
        "status": "booked",
        "participant": actors,
        **more,
    }


@pytest.mark.parametrize("how", ["denied", "withdrawn", "for other records"])
def test_what_another_patient_hides_leaves_as_many_receipts_as_what_is_missing(
    house: Gateway, record_server: Canned, how: str
) -> None:
    house.permit("pat-a")
    scope = "patient/Observation.rs" if how == "for other records" else "patient/*.rs"
    given = house.permit("pat-b", scopes=[scope])
    if how == "denied":
        house.deny("pat-b")
    if how == "withdrawn":
        house.revoke(given["id"])
    record_server.answer(path="/Appointment/x", body=appointment("pat-a", "pat-b"))
    hidden, missing = (house.get(f"/fhir/Appointment/{name}", house.token()) for name in "xy")
    assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
    assert hidden.status_code == 404
    assert receipts(hidden) == receipts(missing) == 1
    assert house.entries()[-2].facts["pat"] in ("Patient/pat-a", "Patient/pat-b")


@pytest.mark.parametrize("owner", ["pat-b", None], ids=["another patient's", "nobody's"])
def test_a_user_who_asks_for_what_another_hides_gets_one_receipt(
    house: Gateway, record_server: Canned, owner: str | None
) -> None:
    for patient in ("pat-a", "pat-b"):
        house.permit(patient)
        house.deny(patient, labels=["HIV"])
    hiv = {"versionId": "1", "security": [{"system": ACT_CODE, "code": "HIV"}]}
    record = observation("x", owner, meta=hiv) if owner else {"resourceType": "Organization", "meta": hiv}
    kind = record["resourceType"]
    record_server.answer(path=f"/{kind}/x", body={**record, "id": "x"})
    token = house.token("user/*.rs", fhirUser="Practitioner/p")
    hidden, missing = (house.get(f"/fhir/{kind}/{name}", token) for name in "xy")
    assert (hidden.status_code, hidden.content) == (404, missing.content)
    assert receipts(hidden) == receipts(missing) == 1


def test_what_strangers_rules_name_is_not_looked_up(house: Gateway, record_server: Canned) -> None:
    """A look-up more would tell that there is such a record."""
    house.permit()
    encounter = {"reference": "Encounter/e"}
    denied_by_fhir(house, {"data": [{"meaning": "related", "reference": encounter}]}, "pat-b")
    record_server.answer(path="/Observation/of-b", body=observation("of-b", "pat-b"))
    asked = []
    for name in ("of-b", "nothing"):
        house.upstream.asks.clear()
        assert house.get(f"/fhir/Observation/{name}", house.token()).status_code == 404
        asked.append(len(house.upstream.asks))
    assert asked[0] == asked[1]


@pytest.mark.parametrize("who", ["pat-a", "pat-b"])
@pytest.mark.parametrize("how", ["withdrawn", "denied"])
def test_whoever_of_its_patients_withdraws_meanwhile_keeps_it_back(
    house: Gateway, record_server: Canned, who: str, how: str
) -> None:
    """The judge has looked at both patients' consents when one changes, during the look-up of a mention."""
    ids = {patient: house.permit(patient)["id"] for patient in ("pat-a", "pat-b")}
    relative = {"actor": {"reference": "RelatedPerson/r", "display": "R"}, "status": "accepted"}
    record = appointment("pat-a", "pat-b", description="BURIED")
    record["participant"].append(relative)
    changed: list[str] = []

    def change_and_answer(connection: socket.socket) -> None:
        if not changed:
            changed.append(how)
            house.revoke(ids[who]) if how == "withdrawn" else house.deny(who)
        connection.sendall(message(body=page()))

    record_server.answer(path="/Appointment/x", body=record)
    record_server.speak(change_and_answer, path="/RelatedPerson")
    answer = house.get("/fhir/Appointment/x", house.token())
    assert changed
    assert "BURIED" not in answer.text
    assert answer.status_code in (403, 404)
