"""How consents are read here, from the configuration file to the answer: implicit policies, nesting, parts of
organisations, holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY
from tests.support.gateway import Gateway, gateway
from tests.walk.canned import Canned
from tests.walk.faults import page

READ = "/fhir/Observation/x"
VISIT = "Encounter/e"
DOCTOR: dict[str, Any] = {"fhirUser": "Practitioner/prac-gp", "role": "clinician", "case": VISIT}


@contextmanager
def reading(folder: Path, server: Canned, settings: str) -> Iterator[Gateway]:
    server.reset()
    with gateway(folder, server.base_url, timeout_s=2, extra=f"[consent]\n{settings}\n") as running:
        yield running
        running.check_everything()


def observation(patient: str = "pat-a", *labels: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "x",
        "meta": {"versionId": "1", "security": [{"system": s, "code": c} for s, c in labels]},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": VISIT},
    }


def encounter() -> dict[str, Any]:
    kind, _, ident = VISIT.partition("/")
    made = {"resourceType": kind, "id": ident, "meta": {"versionId": "1"}, "status": "finished"}
    return {**made, "class": {"code": "AMB"}, "subject": {"reference": "Patient/pat-a"}}


def test_what_is_implied_is_normal_and_of_the_one_in_context(tmp_path: Path, record_server: Canned) -> None:
    with reading(tmp_path, record_server, 'implicit = "basic-normal"') as running:
        doctor = running.token(**DOCTOR)
        # What is around a record counts for how normal it is.
        record_server.answer(path="/Encounter", body=page(encounter()))
        for record, status in [
            (observation(), 200),
            (observation("pat-a", (CONFIDENTIALITY, "R")), 404),
            (observation("pat-b"), 404),
        ]:
            record_server.answer(path="/Observation/x", body=record)
            assert running.get(READ, doctor).status_code == status
        record_server.answer(path="/Observation", body=page(observation()))
        assert running.get("/fhir/Observation", doctor).json()["total"] == 1
        assert running.get(READ, running.token(**{**DOCTOR, "purpose_of_use": "HPAYMT"})).status_code == 403
        assert running.get(READ, running.token()).status_code == 403
        running.deny(labels=["HIV"])
        record_server.answer(path="/Observation/x", body=observation())
        assert running.get(READ, doctor).status_code == 200, "a deny is open"
        running.permit(grantees=["practitioner:prac-gp"], scopes=["patient/Condition.rs"])
        assert running.get(READ, doctor).status_code == 403, "a permit for this doctor closes the rest"


def test_unsaid_nothing_is_implied(tmp_path: Path, record_server: Canned) -> None:
    with reading(tmp_path, record_server, "") as running:
        record_server.answer(path="/Observation/x", body=observation())
        assert running.get(READ, running.token(**DOCTOR)).status_code == 403


def test_a_part_of_an_organisation_has_what_the_whole_has(tmp_path: Path, record_server: Canned) -> None:
    with reading(tmp_path, record_server, 'part_of = {ward = "house"}') as running:
        record_server.answer(path="/Observation/x", body=observation())
        running.permit(grantees=["organization:house"])
        assert running.get(READ, running.token(organization="Organization/ward")).status_code == 200
        assert running.get(READ, running.token(organization="Organization/lab")).status_code == 403


def test_a_hold_hides_a_record_from_everybody(tmp_path: Path, record_server: Canned) -> None:
    with reading(tmp_path, record_server, 'legal_hold = ["LITIGATION"]') as running:
        running.permit()
        patient = running.token(fhirUser="Patient/pat-a")
        for label, status in [
            (("https://house.example", "LITIGATION"), 404),
            ((ACT_CODE, "LEGALHOLD"), 404),
            (("https://house.example", "LIT"), 200),
        ]:
            record_server.answer(path="/Observation/x", body=observation("pat-a", label))
            assert running.get(READ, running.token()).status_code == status
            assert running.get(READ, patient).status_code == status
