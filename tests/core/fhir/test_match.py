"""Search terms decided on JSON: for everything that matches, something close that does not."""

from __future__ import annotations

from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.match import evaluable
from tests.core.fhir.matching import R4, TREES, holds, term, told

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
OBSERVATION: dict[str, Any] = jiter.from_json(
    b"""{"resourceType": "Observation", "id": "Obs-1",
    "meta": {"lastUpdated": "2026-01-02T03:04:05.678Z", "security": [{"system": "urn:s", "code": "HIV"}],
             "tag": [{"code": "t"}]},
    "status": "final",
    "category": [{"coding": [{"system": "%s", "code": "laboratory"}]}, {"coding": [{"code": "local"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "2339-0"},
                        {"system": "urn:x", "code": "a,b"}]},
    "identifier": [{"system": "urn:mrn", "value": "A1"}],
    "subject": {"reference": "Patient/pat-a"}, "encounter": {"reference": "https://gw.example/fhir/Encounter/e"},
    "performer": [{"reference": "https://evil.example/fhir/Practitioner/p"}],
    "effectivePeriod": {"start": "2026-01-10", "end": "2026-01-20"},
    "valueQuantity": {"value": 5.40, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}"""
    % CATEGORY.encode(),
    float_mode="lossless-float",
)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "pat-a",
    "active": True,
    "birthDate": "1980-02",
    "name": [{"family": "M\u00fcller", "given": ["Ann", "Zo\u00eb"]}],
    "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b.example"}],
    "address": [{"line": ["1 Main"], "city": "Here"}],
}
SHARED: dict[str, dict[str, Any]] = {
    "RiskAssessment": {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 0.5}]},
    "ValueSet": {"resourceType": "ValueSet", "url": "http://x/y"},
    "Timing": {"resourceType": "Observation", "effectiveTiming": {"event": ["2026-03-01", "2026-04-01"]}},
}


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        (f"category={CATEGORY}|laboratory", f"category={CATEGORY}|vital-signs"),
        ("category=laboratory", "category=http://other|laboratory"),
        ("category=LABORATORY", f"category={CATEGORY.upper()}|laboratory"),
        ("category=|local", "category=|laboratory"),
        (f"category={CATEGORY}|", "category=http://other|"),
        ("category=x,laboratory", "category=x,y"),
        ("code=a\\,b", "code=a"),
        ("status=final", "status=fina"),
        ("status=final", "status=urn:x|final"),
        ("status=final", "status=|final"),
        ("identifier=urn:mrn|A1", "identifier=urn:mr|A1"),
        ("identifier=A1", "identifier=A"),
        ("_id=Obs-1", "_id=obs-1"),
        ("_security=urn:s|HIV", "_security=urn:t|HIV"),
        ("_tag=t", "_tag=u"),
        ("category:not=vital-signs", "category:not=laboratory"),
        ("subject=Patient/pat-a", "subject=Patient/pat-a2"),
        ("patient=Patient/pat-a", "patient=Patient/pat"),
        ("subject=https://gw.example/fhir/Patient/pat-a", "subject=https://evil.example/fhir/Patient/pat-a"),
        ("encounter=Encounter/e", "encounter=Encounter/E"),
        ("subject=Group/g,Patient/pat-a", "performer=Practitioner/p"),
        ("subject=Patient/pat-a", "subject=Group/pat-a"),
        ("date=2026-01", "date=2026-01-10"),
        ("date=ne2026-01-15", "date=ne2026"),
        ("date=gt2026-01-15", "date=gt2026-01-20"),
        ("date=lt2026-01-11", "date=lt2026-01-10"),
        ("date=ge2026-01-19", "date=ge2026-01-20"),
        ("date=le2026-01-11", "date=le2026-01-10"),
        ("date=sa2026-01-09", "date=sa2026-01-10"),
        ("date=eb2026-01-21", "date=eb2026-01-20"),
        ("_lastUpdated=2026-01-02T03:04:05Z", "_lastUpdated=2026-01-02T03:04:06Z"),
        (
            "_lastUpdated=2026-01-02T04:04:05%2B01:00".replace("%2B", "+"),
            "_lastUpdated=2026-01-02T03:04:05-01:00",
        ),
        ("value-quantity=5.4", "value-quantity=5.5"),
        (
            "value-quantity=5.40|http://unitsofmeasure.org|mg",
            "value-quantity=5.40|http://unitsofmeasure.org|g",
        ),
        ("value-quantity=5||mg", "value-quantity=5.0||mg"),
        ("value-quantity=gt5.3", "value-quantity=gt5.4"),
        ("value-quantity=le5.4", "value-quantity=lt5.4"),
    ],
)
def test_observation(yes: str, no: str) -> None:
    assert holds(OBSERVATION, yes)
    assert not holds(OBSERVATION, no)


@pytest.mark.parametrize(
    ("resource", "yes", "no"),
    [
        (PATIENT, "name=mull", "name=uller"),
        (PATIENT, "name=ZOE", "name=Zoes"),
        (PATIENT, "family:exact=M\u00fcller", "family:exact=Muller"),
        (PATIENT, "address=here", "address=there"),
        (PATIENT, "phone=555", "phone=a@b.example"),
        (PATIENT, "telecom=A@B.example", "telecom=phone"),
        (PATIENT, "active=true", "active=false"),
        (PATIENT, "birthdate=1980", "birthdate=1980-02-01"),
        (PATIENT, "birthdate=1980-02", "birthdate=1980-03"),
        (SHARED["RiskAssessment"], "probability=0.5", "probability=0.51"),
        (SHARED["RiskAssessment"], "probability=ge0.5", "probability=gt0.5"),
        (SHARED["ValueSet"], "url=http://x/y", "url=http://x"),
        (SHARED["Timing"], "date=2026-03-01", "date=2026-03-02"),
        (SHARED["Timing"], "date=gt2026-03-15", "date=gt2026-04-15"),
    ],
)
def test_others(resource: dict[str, Any], yes: str, no: str) -> None:
    assert holds(resource, yes)
    assert not holds(resource, no)


@pytest.mark.parametrize(
    "text",
    [
        "nothing=x",
        "code:in=x",
        "code:text=x",
        "subject:Patient=p",
        "date=soon",
        "date=ap2026",
        "value-quantity=x",
        "code-value-quantity=a$5",
        "name=x",
        "code=",
        "code=a|b|c",
        "_lastUpdated=x",
        "date:not=2026",
        "subject=pat-a",
    ],
)
def test_not_evaluable_cannot_be_told(text: str) -> None:
    assert not evaluable(R4, "Observation", term(text))
    assert told(OBSERVATION, text) is None
    assert not holds(OBSERVATION, text)


def test_evaluable_is_known_beforehand() -> None:
    assert evaluable(R4, "Observation", term("category=laboratory"))
    assert not evaluable(R4, "Patient", term("deceased=true"))
    assert not evaluable(R4, "Nonsense", term("code=a"))


@pytest.mark.parametrize(
    "code",
    [
        None,
        1,
        [],
        {},
        {"coding": {}},
        {"coding": [None, 1]},
        {"coding": [{"code": 2339}]},
        {"coding": [{"system": 1, "code": "x"}]},
    ],
)
def test_odd_data_is_no_and_does_not_help_a_negation(code: object) -> None:
    odd = {"resourceType": "Observation", "code": code}
    assert not holds(odd, "code=x")
    assert told(odd, "code=x") is told(odd, "code:not=x") is None


def test_a_missing_element_satisfies_only_a_negation() -> None:
    empty = {"resourceType": "Observation"}
    assert not holds(empty, "code=x")
    assert holds(empty, "code:not=x")
    assert not holds({"subject": {}}, "code:not=x")


def test_a_comparator_makes_a_quantity_unknown() -> None:
    less = {"resourceType": "Observation", "valueQuantity": {"value": 5, "comparator": "<"}}
    assert not holds(less, "value-quantity=5")
    assert holds({"resourceType": "Observation", "valueQuantity": {"value": 5}}, "value-quantity=5")


@pytest.mark.parametrize(
    ("period", "yes", "no"),
    [
        ({"start": "2026"}, "date=ge2030", "date=eb2030"),
        ({"end": "2026"}, "date=le2020", "date=sa2020"),
        ({"start": "2026", "end": "2027"}, "date=sa2025", "date=sa2026"),
    ],
)
def test_open_periods(period: dict[str, str], yes: str, no: str) -> None:
    resource = {"resourceType": "Observation", "effectivePeriod": period}
    assert holds(resource, yes)
    assert not holds(resource, no)


@pytest.mark.parametrize(
    "period", [{"start": "then", "end": "2026"}, {"start": 1, "end": "2026"}, {"start": "2026", "end": []}]
)
def test_a_period_with_an_unreadable_end_matches_nothing(period: dict[str, object]) -> None:
    assert not holds({"resourceType": "Observation", "effectivePeriod": period}, "date=ge1900")


@given(
    TREES,
    st.sampled_from(
        ["code=x", "date=ge2026", "subject=Patient/a", "value-quantity=1", "status:not=x", "value-string=x"]
    ),
)
def test_never_raises(tree: object, text: str) -> None:
    names = (
        "code",
        "effectiveDateTime",
        "effectivePeriod",
        "effectiveTiming",
        "subject",
        "valueQuantity",
        "status",
    )
    told({"resourceType": "Observation"} | dict.fromkeys(names, tree), text)
