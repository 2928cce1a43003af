"""What the gateway is for, a sentence a test: the pharmacy confirms and cannot list, the insurer sees one
claim's records and no note, the specialist loses access when the window ends, the emergency doctor gets in,
the patient is told, the review is forced."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.upstreams.base import Upstream
from tests.walk.data import load_roles, put_all
from tests.walk.steps import Step, shown, step
from tests.walk.ward import Ward, ward

DAY_S = 24 * 3600
FOUR_HOURS_S = 4 * 3600


@pytest.fixture(scope="module")
def hospital(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Patients who each permit one client everything, for one purpose, and one who forbids all."""
    load_roles(upstream)
    with ward(tmp_path_factory.mktemp("sentences"), upstream.base_url) as made:
        running = made.running
        for patient, client, purpose in (
            ("pat-q", "pharmacy", "TREAT"),
            ("pat-r", "pharmacy", "TREAT"),
            ("pat-r", "insurer", "HPAYMT"),
            ("pat-j", "app-1", "TREAT"),
            ("pat-k", "pharmacy", "TREAT"),
            ("pat-j", "insurer", "HPAYMT"),
        ):
            running.permit(patient, grantees=[f"client:{client}"], purposes=[purpose])
        for patient in ("pat-q", "pat-k"):
            running.deny(patient, labels=["HIV"])
        running.deny("pat-t")
        yield made
        running.check_everything()


def asking(hospital: Ward, patient: str, **claims: Any) -> str:
    return hospital.running.token(patient=patient, **claims)


def instant(hospital: Ward, after_s: int) -> str:
    return datetime.fromtimestamp(hospital.clock() // 1000 + after_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


PATIENT = {"reference": "Patient/pat-j"}
JUL = {"resourceType": "Patient", "id": "pat-j", "name": [{"family": "Jul"}]}


def record(ref: str, **more: Any) -> dict[str, Any]:
    kind, _, ident = ref.partition("/")
    return {"resourceType": kind, "id": ident, "subject": PATIENT, **more}


# --- The pharmacy and the insurer ------------------------------------------------------------------


def test_the_pharmacy_confirms_and_cannot_list(hospital: Ward) -> None:
    running, prescription = hospital.running, "MedicationRequest/rx-q"
    who = {"client_id": "pharmacy", "role": "pharmacy", "case": prescription}
    token = asking(hospital, "pat-q", **who)
    done = step(running, f"{prescription}/$confirm", token)
    told = {each["name"]: each for each in done.answer.json()["parameter"]}
    assert told["valid"]["valueBoolean"] is True
    assert told["remaining"]["valueInteger"] == 2
    assert told["interaction_alert"]["valueCode"] == "possible"
    [entry] = done.entries
    assert (entry.kind, entry.facts["int"]) == ("read.permit", "$confirm")
    assert [line.split()[0].rpartition("/")[0] for line in entry.attachments["rids"].splitlines()] == [
        prescription
    ]
    assert "SECRET" not in done.answer.text, "the drug that it must not be taken with stays hidden"
    assert shown(step(running, "MedicationRequest", token)) == {prescription}
    assert step(running, "MedicationRequest/rx-q-hidden", token).reason in ("role", "denied")
    for kind in ("Condition", "Observation", "Encounter", "DocumentReference"):
        assert step(running, kind, token).reason == "role"


KIM = {"reference": "Patient/pat-k"}
SIMVASTATIN, RITONAVIR, METFORMIN = "36567", "85762", "6809"
HIV = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]}


def drug(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]}


def taken(status: str, **medication: Any) -> dict[str, Any]:
    return record("MedicationStatement/j-taken", status=status, meta=HIV, subject=KIM, **medication)


PILL = {"resourceType": "Medication", "id": "j-pill", "code": drug(RITONAVIR)}
BY_REFERENCE = {"medicationReference": {"reference": "Medication/j-pill"}}


@pytest.mark.parametrize(
    ("beside", "alert"),
    [
        ([], "none"),
        ([taken("active", medicationCodeableConcept=drug(METFORMIN))], "none"),
        ([taken("completed", medicationCodeableConcept=drug(RITONAVIR))], "none"),
        ([taken("active", medicationCodeableConcept=drug(RITONAVIR))], "possible"),
        ([PILL, taken("active", **BY_REFERENCE)], "possible"),
        ([taken("active", medicationReference={"reference": "Medication/j-none"})], "unknown"),
        ([taken("active", medicationCodeableConcept={"text": "a white pill"})], "unknown"),
    ],
    ids=["nothing", "harmless", "no more", "hidden", "by reference", "nowhere", "in words"],
)
def test_the_alert_knows_what_is_hidden(
    hospital: Ward, upstream: Upstream, beside: list[dict[str, Any]], alert: str
) -> None:
    statin = {"intent": "order", "medicationCodeableConcept": drug(SIMVASTATIN)}
    prescription = record("MedicationRequest/j-statin", status="active", subject=KIM, **statin)
    put_all(upstream, [{"resourceType": "Patient", "id": "pat-k"}, prescription, *beside])
    who = {"client_id": "pharmacy", "role": "pharmacy", "case": "MedicationRequest/j-statin"}
    try:
        done = step(hospital.running, "MedicationRequest/j-statin/$confirm", asking(hospital, "pat-k", **who))
    finally:
        for each in [prescription, *beside]:
            address = f"{upstream.base_url}/{each['resourceType']}/{each['id']}"
            httpx.delete(address, timeout=60, trust_env=False).raise_for_status()
    told = {each["name"]: each for each in done.answer.json()["parameter"]}
    assert told["interaction_alert"]["valueCode"] == alert
    assert RITONAVIR not in done.answer.text
    assert [entry.facts["rty"] for entry in done.entries] == [{"MedicationRequest": 1}]


def test_the_insurer_sees_one_claim_s_records_and_no_note(hospital: Ward) -> None:
    who = {"client_id": "insurer", "role": "payer", "case": "Claim/clm-r", "purpose_of_use": "HPAYMT"}
    token, seen = asking(hospital, "pat-r", **who), set[str]()
    for kind in ("Claim", "Encounter", "Condition", "Procedure", "Coverage"):
        done = step(hospital.running, kind, token)
        assert "SECRET" not in done.answer.text, kind
        assert '"note"' not in done.answer.text, kind
        seen |= shown(done)
    assert seen == {"Claim/clm-r", "Encounter/enc-r", "Condition/con-r", "Procedure/pro-r", "Coverage/cov-r"}
    for kind in ("Observation", "DocumentReference", "AllergyIntolerance"):
        assert step(hospital.running, kind, token).reason == "role"


# --- Consultations ---------------------------------------------------------------------------------


def test_the_specialist_loses_access_when_the_window_ends(hospital: Ward, upstream: Upstream) -> None:
    """The same token sees it, and a second after the window, nothing of it."""
    times = {"start": instant(hospital, 600), "end": instant(hospital, 2400)}
    appointment = {
        "resourceType": "Appointment",
        "id": "j-window",
        "status": "booked",
        **times,
        "participant": [{"actor": PATIENT, "status": "accepted"}],
    }
    visit = visited("j-window-visit", appointment=[{"reference": "Appointment/j-window"}])
    put_all(upstream, [JUL, appointment, visit, measured("j-window-seen", "j-window-visit")])
    began_s = hospital.clock.ahead_s

    def seen() -> Step:
        who = {"role": "telehealth", "case": "Appointment/j-window"}
        return step(hospital.running, "Observation/j-window-seen", asking(hospital, "pat-j", **who))

    assert seen().answer.status_code == 200
    hospital.clock.ahead_s = began_s + 2400 + DAY_S - 60
    assert seen().answer.status_code == 200
    hospital.clock.ahead_s = began_s + 2400 + DAY_S + 60
    assert seen().reason == "role"


# --- New members -----------------------------------------------------------------------------------

AMBULATORY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}


def visited(ident: str, **more: Any) -> dict[str, Any]:
    return record(f"Encounter/{ident}", status="finished", **{"class": AMBULATORY}, **more)


def measured(ident: str, visit: str) -> dict[str, Any]:
    encounter = {"reference": f"Encounter/{visit}"}
    return record(f"Observation/{ident}", status="final", code={"text": "weight"}, encounter=encounter)


def claim(*procedures: str) -> dict[str, Any]:
    named = [
        {"sequence": number, "procedureReference": {"reference": procedure}}
        for number, procedure in enumerate(procedures, 1)
    ]
    return {
        "resourceType": "Claim",
        "id": "j-claim",
        "status": "active",
        "type": {"coding": [{"code": "professional"}]},
        "use": "claim",
        "patient": PATIENT,
        "created": "2026-03-02",
        "provider": {"reference": "Organization/org-hospital"},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/cov-r"}}],
        **({"procedure": named} if named else {}),
    }


def dispensed(**more: Any) -> dict[str, Any]:
    drug = {"medicationCodeableConcept": {"text": "ondansetron"}}
    return record("MedicationDispense/j-dispense", status="completed", **drug, **more)


DONE = record("Procedure/j-done", status="completed", code={"text": "splint"})
REPORT = record("DiagnosticReport/j-report", status="final", code={"text": "electrolytes"})
ORDER = record("ServiceRequest/j-order", status="active", intent="order", code={"text": "potassium"})
DRUG = {"medicationCodeableConcept": {"text": "ondansetron"}}
PRESCRIPTION = record("MedicationRequest/j-rx", status="active", intent="order", **DRUG)
EPISODE = {"resourceType": "EpisodeOfCare", "id": "j-episode", "status": "active", "patient": PATIENT}

CASES: dict[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]], str]] = {
    # root: role, what is there, what joins, and the record that is then of the case
    "Encounter/j-visit": (
        "clinician",
        [visited("j-visit"), measured("j-measured", "j-elsewhere")],
        [measured("j-measured", "j-visit")],
        "Observation/j-measured",
    ),
    "EpisodeOfCare/j-episode": (
        "clinician",
        [EPISODE, visited("j-next"), measured("j-later", "j-next")],
        [visited("j-next", episodeOfCare=[{"reference": "EpisodeOfCare/j-episode"}])],
        "Observation/j-later",
    ),
    "ServiceRequest/j-order": (
        "laboratory",
        [ORDER, REPORT],
        [{**REPORT, "basedOn": [{"reference": "ServiceRequest/j-order"}]}],
        "DiagnosticReport/j-report",
    ),
    "MedicationRequest/j-rx": (
        "pharmacy",
        [PRESCRIPTION, dispensed()],
        [dispensed(authorizingPrescription=[{"reference": "MedicationRequest/j-rx"}])],
        "MedicationDispense/j-dispense",
    ),
    "Claim/j-claim": ("payer", [DONE, claim()], [claim("Procedure/j-done")], "Procedure/j-done"),
    "Appointment/j-talk": (
        "telehealth",
        [visited("j-talked"), measured("j-said", "j-talked")],
        [visited("j-talked", appointment=[{"reference": "Appointment/j-talk"}])],
        "Observation/j-said",
    ),
}
PAYING = {"client_id": "insurer", "purpose_of_use": "HPAYMT"}


@pytest.mark.parametrize("root", CASES)
def test_what_joins_a_case_is_seen_at_once_and_what_leaves_it_no_more(
    hospital: Ward, upstream: Upstream, root: str
) -> None:
    role, before, joining, target = CASES[root]
    if role == "telehealth":
        people = [{"actor": PATIENT, "status": "accepted"}]
        talk = {"resourceType": "Appointment", "id": "j-talk", "status": "booked", "participant": people}
        times = {"start": instant(hospital, -600), "end": instant(hospital, 600)}
        before = [{**talk, **times}, *before]
    put_all(upstream, [JUL, *before])
    token = asking(hospital, "pat-j", role=role, case=root, **(PAYING if role == "payer" else {}))

    def seen() -> bool:
        found = shown(step(hospital.running, target.partition("/")[0], token))
        assert found <= {target}
        return step(hospital.running, target, token).answer.status_code == 200 and found == {target}

    assert not seen()
    put_all(upstream, joining)
    assert seen()
    put_all(upstream, before)
    hospital.clock.ahead_s += 61  # what belongs to a case is known for a minute at most
    assert not seen()


# --- The broken glass ------------------------------------------------------------------------------


def test_the_emergency_doctor_gets_in_the_patient_is_told_and_the_review_is_forced(hospital: Ward) -> None:
    running = hospital.running
    ours = {"fhirUser": "Practitioner/prac-er", "role": "clinician"}
    assert step(running, "Condition", asking(hospital, "pat-t", **ours)).reason == "denied"

    asked, made = len(running.upstream.asks), running.size()
    opened = hospital.broken(patient="pat-t")
    assert [entry.kind for entry in running.entries(made)] == ["bg.open", "token.issue"]
    assert len(running.upstream.asks) == asked
    done = step(running, "Condition?_count=50", opened["access_token"])
    assert {"Condition/con-t", "Condition/con-t-past"} <= shown(done)
    assert step(running, "MedicationRequest/rx-t", opened["access_token"]).nodes == {"break_glass"}
    assert step(running, "Encounter", opened["access_token"]).reason == "role"

    told = [notice for notice in hospital.mailroom.wait_for(2) if notice["entry"] == opened["entry"]]
    assert {notice["recipient"] for notice in told} == {"patient", "privacy-officer"}
    assert {notice["user"] for notice in told} == {"Practitioner/prac-er"}
    assert "Unconscious" not in json.dumps(told)

    hospital.clock.ahead_s += FOUR_HOURS_S
    assert step(running, "Condition", opened["access_token"]).answer.status_code == 401
    assert waiting(hospital)[opened["entry"]]["state"] == "to-review"
    hospital.clock.ahead_s += 7 * DAY_S
    refused = hospital.ask("POST", body=hospital.wish(patient="pat-u"))
    assert (refused.status_code, f"Entry {opened['entry']} has to be reviewed" in refused.text) == (403, True)

    reviewed = hospital.ask(
        "POST", f"/{opened['entry']}/review", {"reviewer": "officer", "outcome": "justified"}
    )
    assert reviewed.status_code == 201, reviewed.text
    [review] = running.entries(reviewed.json()["entry"])
    assert (review.kind, review.facts["out"], review.facts["n_reads"]) == ("bg.review", "justified", 2)
    assert waiting(hospital) == {}
    assert hospital.broken(patient="pat-u")["renewable"]


def waiting(hospital: Ward) -> Mapping[int, dict[str, Any]]:
    """The glasses that have to be reviewed, by entry."""
    return {each["entry"]: each for each in hospital.ask("GET", "?open=true").json()["broken"]}
