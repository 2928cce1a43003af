"""What a parent does not see of a minor who was cared for in confidence: ADOL by age, PSYTHPN as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.data import load_once

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
DEPRESSION, INFLUENZA, CHLAMYDIA = "F32.9", "J11.1", "A56.0"


def concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": ICD, "code": code}]}


def condition(ident: str, patient: str, code: str, onset: str | None) -> dict[str, Any]:
    dated = {} if onset is None else {"onsetDateTime": onset}
    subject = {"reference": f"Patient/{patient}"}
    return {"resourceType": "Condition", "id": ident, "subject": subject, "code": concept(code), **dated}


RECORDS = [
    {"resourceType": "Patient", "id": "teen", "birthDate": "2010-05-02"},
    {"resourceType": "Patient", "id": "ageless"},
    condition("t-flu", "teen", INFLUENZA, "2025-02-01"),
    condition("t-low", "teen", DEPRESSION, "2025-02-01"),
    condition("t-std", "teen", CHLAMYDIA, "2025-02-01"),
    condition("t-child", "teen", DEPRESSION, "2020-02-01"),
    condition("t-undated", "teen", DEPRESSION, None),
    condition("a-flu", "ageless", INFLUENZA, "1990-02-01"),
    condition("a-low", "ageless", DEPRESSION, "1990-02-01"),
    {
        "resourceType": "MedicationRequest",
        "id": "t-rx",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/teen"},
        "authoredOn": "2025-02-01",
        "medicationCodeableConcept": {
            "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "26225"}]
        },
        "reasonCode": [concept(DEPRESSION), concept("R11.2")],
    },
    {
        "resourceType": "Observation",
        "id": "t-session",
        "meta": {"security": [{"system": ACT, "code": "PSYTHPN"}]},
        "status": "final",
        "subject": {"reference": "Patient/teen"},
        "effectiveDateTime": "2020-02-01",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
    },
]
PARENT = "RelatedPerson/parent"
PROXY: dict[str, Any] = {"role": "proxy", "purpose_of_use": "FAMRQT", "fhirUser": PARENT}
ALLOWED = ["client:app-1", "relative:parent"]
PATIENT: dict[str, Any] = {"role": "patient", "purpose_of_use": "PATRQT"}


@pytest.fixture(scope="module")
def family(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    load_once(upstream, "adolescents", RECORDS)
    folder, years = tmp_path_factory.mktemp("family"), '[labels]\nadolescent = "12-18"\n'
    with gateway(folder, upstream.base_url, extra=years) as running:
        for patient in ("teen", "ageless"):
            running.permit(patient, purposes=["FAMRQT", "PATRQT"], grantees=ALLOWED)
        yield running
        running.check_everything()


def ids(running: Gateway, target: str, patient: str, claims: dict[str, Any]) -> set[str]:
    answer = running.get(f"/fhir/{target}", running.token(patient=patient, **claims))
    assert answer.status_code == 200
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


@pytest.mark.parametrize(
    ("patient", "claims", "seen"),
    [
        ("teen", PROXY, {"t-flu", "t-child"}),
        ("teen", PATIENT, {"t-flu", "t-low", "t-std", "t-child", "t-undated"}),
        ("ageless", PROXY, {"a-flu"}),
        ("ageless", PATIENT, {"a-flu", "a-low"}),
    ],
    ids=["a parent", "the minor", "the parent of nobody knows whom", "nobody knows whom"],
)
def test_who_sees_which_diagnoses(
    family: Gateway, patient: str, claims: dict[str, Any], seen: set[str]
) -> None:
    assert ids(family, f"Condition?patient=Patient/{patient}", patient, claims) == seen


def test_a_read_and_a_search_agree_and_hidden_is_like_missing(family: Gateway) -> None:
    token = family.token(patient="teen", **PROXY)
    assert family.get("/fhir/Condition/t-child", token).status_code == 200
    for hidden in ("Condition/t-low", "Condition/t-none", "Observation/t-session"):
        assert family.get(f"/fhir/{hidden}", token).status_code == 404
    assert (
        family.get("/fhir/Observation/t-session", family.token(patient="teen", **PATIENT)).status_code == 200
    )


def test_a_prescription_is_seen_without_the_reason_that_was_confided(family: Gateway) -> None:
    answer = family.get("/fhir/MedicationRequest/t-rx", family.token(patient="teen", **PROXY))
    assert answer.json()["reasonCode"] == [concept("R11.2")]


def test_the_patient_is_looked_at_once_for_a_page(family: Gateway) -> None:
    family.upstream.asks.clear()
    ids(family, "Condition?patient=Patient/teen", "teen", PROXY)
    assert [ask.path for ask in family.upstream.asks].count("/Patient") == 1


def test_without_the_setting_age_is_nothing(upstream: Upstream, tmp_path: Path) -> None:
    load_once(upstream, "adolescents", RECORDS)
    with gateway(tmp_path, upstream.base_url) as running:
        running.permit("teen", purposes=["FAMRQT"], grantees=ALLOWED)
        every = {"t-flu", "t-low", "t-std", "t-child", "t-undated"}
        assert ids(running, "Condition?patient=Patient/teen", "teen", PROXY) == every
        token = running.token(patient="teen", **PROXY)
        assert running.get("/fhir/Observation/t-session", token).status_code == 404
