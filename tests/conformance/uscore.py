"""The types of US Core 3.1.1, the first search of each that the kits make, and those for granular scopes."""

from __future__ import annotations

from typing import Final

FIRST: Final[dict[str, dict[str, str]]] = {
    "AllergyIntolerance": {"patient": "pat-a"},
    "CarePlan": {"patient": "pat-a", "category": "assess-plan"},
    "CareTeam": {"patient": "pat-a", "status": "active"},
    "Condition": {"patient": "pat-a"},
    "Device": {"patient": "pat-a"},
    "DiagnosticReport": {"patient": "pat-a", "category": "LAB"},
    "DocumentReference": {"patient": "pat-a"},
    "Encounter": {"patient": "pat-a"},
    "Goal": {"patient": "pat-a"},
    "Immunization": {"patient": "pat-a"},
    "MedicationRequest": {"patient": "pat-a", "intent": "order"},
    "Observation": {"patient": "pat-a", "code": "59408-5"},
    "Patient": {"_id": "pat-a"},
    "Procedure": {"patient": "pat-a"},
}
TYPES: Final = tuple(FIRST)
FURTHER: Final = (
    "Provenance", "ServiceRequest", "Coverage", "MedicationDispense", "Specimen", "Location",
    "Organization", "Practitioner",
)  # fmt: skip
"""Those of later releases, and those that are about no patient."""
NO_PATIENT: Final[dict[str, dict[str, str]]] = {
    "Organization": {"_id": "org-hospital"},
    "Practitioner": {"_id": "prac-gp"},
}

_HL7 = "http://terminology.hl7.org/CodeSystem"
CONDITIONS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"category": "encounter-diagnosis"},
    {"category": f"{_HL7}/condition-category|problem-list-item"},
    {"clinical-status": "active"},
    {"onset-date": "ge2025-01-01"},
    {"abatement-date": "ge2025-01-01"},
    {"recorded-date": "ge2025-01-01"},
    {"code": "195967001"},
    {"category": "encounter-diagnosis", "encounter": "Encounter/enc-a1"},
    {"_lastUpdated": "ge2000-01-01"},
)
OBSERVATIONS: Final[tuple[dict[str, str], ...]] = (
    {"category": "laboratory"},
    {"category": f"{_HL7}/observation-category|social-history"},
    {"category": "survey"},
    {"category": "laboratory", "date": "ge2025-01-01"},
    {"category": "vital-signs", "status": "final"},
    {"category": "vital-signs", "_lastUpdated": "ge2000-01-01"},
    {"code": "59408-5"},
    {"code": "http://loinc.org|29463-7"},
    {"code": "29463-7", "date": "ge2025-01-01"},
)
SEARCHES: Final = [
    *(("Condition", {"patient": "pat-a", **more}) for more in CONDITIONS),
    *(("Observation", {"patient": "pat-a", **more}) for more in OBSERVATIONS),
]
