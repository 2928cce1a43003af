"""The records that the kits search: the synthetic hospital, and some of each category."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

HOSPITAL: Final = Path(__file__).parents[2] / "fixtures/people"
HL7: Final = "http://terminology.hl7.org/CodeSystem"
US_CORE: Final = "http://hl7.org/fhir/us/core/CodeSystem"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"

OBSERVATION: Final = f"{HL7}/observation-category"
CONDITION: Final = f"{HL7}/condition-category"
CATEGORIES: Final = {
    "encounter-diagnosis": ("Condition", CONDITION),
    "problem-list-item": ("Condition", CONDITION),
    "health-concern": ("Condition", f"{US_CORE}/condition-category"),
    "laboratory": ("Observation", OBSERVATION),
    "vital-signs": ("Observation", OBSERVATION),
    "social-history": ("Observation", OBSERVATION),
    "survey": ("Observation", OBSERVATION),
    "sdoh": ("Observation", f"{US_CORE}/us-core-category"),
}
"""Type and system of each."""


def granular(*codes: str) -> str:
    """The scopes for these categories, as the kits write them."""
    return " ".join(f"patient/{CATEGORIES[c][0]}.rs?category={CATEGORIES[c][1]}|{c}" for c in codes)


def records() -> Iterator[list[dict[str, Any]]]:
    """In the order in which they can be stored."""
    for file in sorted(HOSPITAL.glob("*.json")):
        yield json.loads(file.read_text("utf-8"))
    yield [_record(kind, system, code) for code, (kind, system) in CATEGORIES.items()]
    yield [_both(), _other_case()]


def _record(kind: str, system: str, code: str) -> dict[str, Any]:
    common = {
        "resourceType": kind,
        "id": f"kit-{code}",
        "category": [_concept(system, code)],
        "subject": {"reference": "Patient/pat-a"},
        "encounter": {"reference": "Encounter/enc-a1"},
    }
    return common | (_observation() if kind == "Observation" else _condition())


def _observation() -> dict[str, Any]:
    return {
        "status": "final",
        "code": _concept(LOINC, "59408-5"),
        "effectiveDateTime": "2025-02-03T08:20:00Z",
        "valueQuantity": {"value": 97, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
    }


def _condition() -> dict[str, Any]:
    return {
        "clinicalStatus": _concept(f"{HL7}/condition-clinical", "active"),
        "verificationStatus": _concept(f"{HL7}/condition-ver-status", "confirmed"),
        "code": _concept(SNOMED, "195967001"),
        "onsetDateTime": "2025-02-03",
        "abatementDateTime": "2025-03-03",
        "recordedDate": "2025-02-04",
    }


def _both() -> dict[str, Any]:
    """Of two categories."""
    categories = [_concept(OBSERVATION, code) for code in ("survey", "social-history")]
    return {**_record("Observation", OBSERVATION, "both"), "category": categories}


def _other_case() -> dict[str, Any]:
    """Of a category whose code is written in another case."""
    return {
        **_record("Observation", OBSERVATION, "other-case"),
        "category": [_concept(OBSERVATION, "Laboratory")],
    }


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
