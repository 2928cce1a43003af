"""Cases and previews over synthetic patients with whole histories: what comes is what the record server has
of the case, and as much as the preview counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import FHIR_JSON, Upstream
from tests.walk.data import histories, load_synthea
from tests.walk.steps import operator, step

PATIENTS = 2


class History(NamedTuple):
    """A patient, and all records of the types that matter here, as they are stored."""

    patient: str
    records: dict[str, list[dict[str, Any]]]


TYPES = (
    "Claim",
    "Condition",
    "DiagnosticReport",
    "Encounter",
    "MedicationRequest",
    "Observation",
    "Procedure",
)


@pytest.fixture(scope="module")
def opened(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    smallest = sorted(histories(), key=lambda path: path.stat().st_size)
    load_synthea(upstream, smallest[:PATIENTS], "few")
    with gateway(tmp_path_factory.mktemp("histories"), upstream.base_url) as running:
        for patient in all_of(upstream, "Patient"):
            running.permit(patient["id"])
            running.permit(patient["id"], grantees=["client:insurer"], purposes=["HPAYMT"])
        yield running
        previews = [entry for entry in running.entries() if entry.facts.get("int") == "preview"]
        running.check_everything(unanswered=len(previews))


@pytest.fixture(scope="module")
def all_histories(opened: Gateway, upstream: Upstream) -> list[History]:
    patients = [patient["id"] for patient in all_of(upstream, "Patient")]
    assert len(patients) == PATIENTS
    return [
        History(patient, {kind: all_of(upstream, f"{kind}?patient=Patient/{patient}") for kind in TYPES})
        for patient in patients
    ]


def test_an_insurer_gets_what_each_claim_rests_on(opened: Gateway, all_histories: list[History]) -> None:
    for history in all_histories:
        for claim in history.records["Claim"][:8]:
            named = {f"Claim/{claim['id']}"}
            named |= {ref["reference"] for item in claim.get("item", []) for ref in item.get("encounter", [])}
            named |= {each["diagnosisReference"]["reference"] for each in claim.get("diagnosis", [])}
            named |= {each["procedureReference"]["reference"] for each in claim.get("procedure", [])}
            named |= {claim["prescription"]["reference"]} if "prescription" in claim else set()
            who = {"client_id": "insurer", "role": "payer", "purpose_of_use": "HPAYMT"}
            token = opened.token(patient=history.patient, case=f"Claim/{claim['id']}", **who)  # type: ignore[arg-type]
            for kind in ("Claim", "Condition", "Encounter", "MedicationRequest", "Procedure"):
                expected = {ref for ref in named if ref.startswith(f"{kind}/")}
                assert found(opened, kind, token) == expected
            for ref in sorted(named):
                assert step(opened, ref, token).answer.status_code == 200
            assert step(opened, "Observation", token).reason == "role"


def test_a_clinician_gets_what_was_made_in_each_encounter(
    opened: Gateway, all_histories: list[History]
) -> None:
    for history in all_histories:
        for encounter in history.records["Encounter"][-3:]:
            case = f"Encounter/{encounter['id']}"
            token = opened.token(patient=history.patient, role="clinician", case=case)
            for kind in ("DiagnosticReport", "Observation", "Procedure"):
                made = [each for each in history.records[kind] if each["encounter"]["reference"] == case]
                assert found(opened, kind, token) == {f"{kind}/{each['id']}" for each in made}


def test_a_preview_counts_what_reads_then_give(opened: Gateway, all_histories: list[History]) -> None:
    for history in all_histories:
        draft = {"patient": history.patient, "scopes": ["patient/*.rs"], "effect": "deny"}
        draft |= {"labels": ["SUD", "HIV", "PSY", "SEX"]}
        answer = operator(opened, "POST", "/admin/preview", {"draft": draft, "as": [["client:app-1"]]})
        told = answer.raise_for_status().json()
        assert told["whole"]
        [viewer] = [each for each in told["viewers"] if each["purpose"] == "TREAT"]
        denied = opened.grant(**draft)
        token = opened.token(patient=history.patient)
        assert any(counted["hidden"] or counted["in_part"] for counted in viewer["types"].values())
        for kind, counted in viewer["types"].items():
            assert len(found(opened, kind, token)) == counted["shown"], (kind, counted)
        opened.revoke(denied["id"])


def found(opened: Gateway, kind: str, token: str) -> set[str]:
    """What a search for all of the type gives, on all its pages."""
    pages = [page.json().get("entry", []) for page in opened.follow(f"/fhir/{kind}?_count=50", token)]
    matches = [entry for page in pages for entry in page if entry["search"]["mode"] == "match"]
    return {f"{kind}/{entry['resource']['id']}" for entry in matches}


def all_of(upstream: Upstream, query: str) -> list[dict[str, Any]]:
    """What the record server itself says, on all its pages."""
    resources: list[dict[str, Any]] = []
    url: str | None = f"{upstream.base_url}/{query}"
    while url is not None:
        page = httpx.get(url, headers=FHIR_JSON, timeout=60, trust_env=False).raise_for_status().json()
        resources += [entry["resource"] for entry in page.get("entry", [])]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return resources
