"""A study in tests, and records as it gets them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.core.fhir import codec
from gateway.core.studies.datatypes import Dates
from gateway.core.studies.leaving import written
from gateway.core.studies.pseudonyms import Pseudonyms, study_key
from gateway.core.studies.study import Study
from tests.core.deciding import BASES, facts

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM: Final = "http://unitsofmeasure.org"
SECRET: Final = bytes(range(32))
PATIENT: Final = "85"
HEART: Final = Study(
    id="heart",
    role="researcher",
    clients=frozenset({"study-app"}),
    codes=((LOINC, "8480-6"), (SNOMED, "38341003"), (RXNORM, "310965"), ("https://ward.example", "own-1")),
    until=datetime(2026, 5, 1, tzinfo=UTC),
    dates="shift",
    pseudonyms=Pseudonyms(study_key(SECRET, "main", "heart", "shift")),
)
OTHER: Final = replace(HEART, id="other", pseudonyms=Pseudonyms(study_key(SECRET, "main", "other", "shift")))
YEARS: Final = replace(HEART, dates="year")
BY_DATES: Final[dict[Dates, Study]] = {"shift": HEART, "year": YEARS}
DAYS: Final = HEART.pseudonyms.days(PATIENT)


def concept(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], **more}


def observation(**more: Any) -> dict[str, Any]:
    usual = {
        "resourceType": "Observation",
        "id": "bp-1",
        "meta": {"versionId": "3", "lastUpdated": "2026-04-30T23:59:59Z"},
        "status": "final",
        "code": concept(LOINC, "8480-6"),
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


def condition(**more: Any) -> dict[str, Any]:
    usual = observation(resourceType="Condition", id="cond-1", status=None, code=concept(SNOMED, "38341003"))
    return {**usual, **more}


def made(tree: dict[str, Any], study: Study = HEART) -> dict[str, Any] | None:
    """The record as it leaves, read back; None if it does not."""
    raw = json.dumps(tree).encode()
    found = study.made(facts(raw), codec.parse(raw), BASES.both)
    read: dict[str, Any] | None = None if found is None else json.loads(written(found))
    return read


def left(tree: dict[str, Any], study: Study = HEART) -> dict[str, Any]:
    """The elements of the record that leave, without those that every record has."""
    found = made(tree, study)
    assert found is not None
    always = ("resourceType", "id", "meta", "subject")
    return {name: value for name, value in found.items() if name not in always}
