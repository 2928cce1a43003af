"""A token that names its consents rests on those alone, whoever else permitted its client something."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.walk.canned import Canned
from tests.walk.faults import observation, page

CLAIMS: dict[str, dict[str, Any]] = {
    "user": {"scopes": "user/*.rs", "fhirUser": "Practitioner/prac-gp"},
    "system": {"scopes": "system/*.rs"},
}
RECORDS = {"pat-a": observation("a", "pat-a", "CANARY-A"), "pat-b": observation("b", "pat-b", "CANARY-B")}


@pytest.fixture
def consents(house: Gateway, record_server: Canned) -> dict[str, dict[str, Any]]:
    """One of each patient, for the same client; the record server passes over whom it is asked about."""
    record_server.answer(path="/Observation", body=page(*RECORDS.values()))
    for record in RECORDS.values():
        record_server.answer(path=f"/Observation/{record['id']}", body=record)
    return {patient: house.permit(patient) for patient in RECORDS}


@pytest.mark.parametrize("level", CLAIMS)
@pytest.mark.parametrize("named", [["pat-a"], ["pat-b"], ["pat-a", "pat-b"]], ids="+".join)
def test_only_the_patients_of_the_consents_it_names(
    house: Gateway,
    record_server: Canned,
    consents: dict[str, dict[str, Any]],
    named: list[str],
    level: str,
) -> None:
    token = house.token(patient=None, consent=[consents[patient] for patient in named], **CLAIMS[level])
    answer = house.get("/fhir/Observation", token)
    assert answer.status_code == 200
    for patient, record in RECORDS.items():
        assert (record["code"]["text"] in answer.text) == (patient in named)
        assert (patient in record_server.requests[0]) == (patient in named), "others are not even asked about"
        read = house.get(f"/fhir/Observation/{record['id']}", token)
        assert read.status_code == (200 if patient in named else 404)


@pytest.mark.parametrize("level", CLAIMS)
def test_without_the_claim_every_consent_for_the_client_counts(
    house: Gateway, consents: dict[str, dict[str, Any]], level: str
) -> None:
    answer = house.get("/fhir/Observation", house.token(patient=None, **CLAIMS[level]))
    assert all(record["code"]["text"] in answer.text for record in RECORDS.values())
    house.revoke(consents["pat-b"]["id"])
    after = house.get("/fhir/Observation", house.token(patient=None, **CLAIMS[level]))
    assert "CANARY-A" in after.text
    assert "CANARY-B" not in after.text
