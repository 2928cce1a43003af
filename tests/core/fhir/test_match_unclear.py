"""What cannot be told of a record: neither that it matches nor that it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from gateway.core.fhir.match import evaluable
from tests.core.fhir.matching import R4, TREES, term, told

LOINC, MASKED = "http://loinc.org", {"extension": [{"url": "urn:x"}]}
SECRET = f"code={LOINC}|secret"
# What a deny must count as a match: a value at the path of which one cannot say that it is another.
UNCLEAR: dict[str, tuple[str, dict[str, Any]]] = {
    "no code at all": (SECRET, {}),
    "no code, of any system": ("code=secret", {}),
    "null": (SECRET, {"code": None}),
    "masked": (SECRET, {"_code": MASKED}),
    "an empty list": (SECRET, {"code": []}),
    "a list of lists": (SECRET, {"code": [[{"coding": [{"code": "x"}]}]]}),
    "an empty object": (SECRET, {"code": {}}),
    "a number": (SECRET, {"code": 1}),
    "text alone": (SECRET, {"code": {"text": "secret"}}),
    "no coding in the list": (SECRET, {"code": {"coding": []}}),
    "coding an object": (SECRET, {"code": {"coding": {"system": LOINC, "code": "other"}}}),
    "a coding that is none": (SECRET, {"code": {"coding": ["secret"]}}),
    "a coding without system": (SECRET, {"code": {"coding": [{"code": "secret"}]}}),
    "a coding with a masked system": (SECRET, {"code": {"coding": [{"_system": MASKED, "code": "secret"}]}}),
    "a coding without code": (SECRET, {"code": {"coding": [{"system": LOINC, "display": "Secret"}]}}),
    "a coding with a masked code": (SECRET, {"code": {"coding": [{"system": LOINC, "_code": MASKED}]}}),
    "a display alone": (SECRET, {"code": {"coding": [{"display": "Secret"}]}}),
    "a code that is a number": (SECRET, {"code": {"coding": [{"system": LOINC, "code": 7}]}}),
    "a system that is a number": (SECRET, {"code": {"coding": [{"system": 5, "code": "secret"}]}}),
    "a code in white space": (SECRET, {"code": {"coding": [{"system": LOINC, "code": "secret "}]}}),
    "a system in white space": (SECRET, {"code": {"coding": [{"system": LOINC + " ", "code": "secret"}]}}),
    "one of two codings": (SECRET, {"code": {"coding": [{"system": LOINC, "code": "other"}, {}]}}),
    "a bare code": ("status=urn:x|final", {"status": "final"}),
    "a masked status": ("status=final", {"_status": MASKED}),
    "one of two categories": ("category=lab", {"category": [{"coding": [{"code": "other"}]}, {"text": "x"}]}),
    "a null among categories": ("category=lab", {"category": [{"coding": [{"code": "other"}]}, None]}),
    "an identifier without value": ("identifier=A1", {"identifier": [{"system": "urn:mrn"}]}),
    "on the way a text": ("component-code=x", {"component": "x"}),
    "on the way a null": ("component-code=x", {"component": [None]}),
    "an id that is a number": ("_id=1", {"id": 1}),
    "a subject by identifier": ("subject=Patient/a", {"subject": {"identifier": {"value": "a"}}}),
    "a subject by identifier, of one type": (
        "patient=Patient/a",
        {"subject": {"identifier": {"value": "a"}}},
    ),
    "a contained subject": ("subject=Patient/a", {"subject": {"reference": "#a"}}),
    "a subject by another address": (
        "subject=Patient/a",
        {"subject": {"reference": "https://x/fhir/Patient/a"}},
    ),
    "a subject of two types": ("subject=Patient/a", {"subject": {"reference": "Patient/a", "type": "Group"}}),
    "a subject that is a list": ("subject=Patient/a", {"subject": [["Patient/a"]]}),
    "a stranger's address asked": (
        "subject=https://x/fhir/Patient/a",
        {"subject": {"reference": "Patient/a"}},
    ),
    "a date in words": ("date=2026", {"effectiveDateTime": "last year"}),
    "a date that is a number": ("date=2026", {"effectiveDateTime": 2026}),
    "a masked date": ("date=2026", {"_effectiveDateTime": MASKED}),
    "a period with an odd end": ("date=2020", {"effectivePeriod": {"start": "2026", "end": "then"}}),
    "a period with a masked beginning": ("date=2020", {"effectivePeriod": {"_start": MASKED, "end": "2026"}}),
    "a timing by rule": ("date=2026", {"effectiveTiming": {"repeat": {"count": 3}}}),
    "an odd event": ("date=2020", {"effectiveTiming": {"event": ["2026", None]}}),
    "a quantity with a comparator": (
        "value-quantity=gt5",
        {"valueQuantity": {"value": 7, "comparator": ">"}},
    ),
    "a quantity in a text": ("value-quantity=gt5", {"valueQuantity": {"value": "7"}}),
    "a quantity without value": ("value-quantity=gt5", {"valueQuantity": {"unit": "mg"}}),
    "a quantity without unit": ("value-quantity=gt5||mg", {"valueQuantity": {"value": 7}}),
    "a quantity without system": (
        "value-quantity=gt5|urn:u|mg",
        {"valueQuantity": {"value": 7, "code": "mg"}},
    ),
    "a quantity that is a number": ("value-quantity=gt5", {"valueQuantity": 7}),
    "a text that is a number": ("value-string=x", {"valueString": 7}),
}
# Close to these, and surely another: a deny of `yes` must not reach it.
ANOTHER: dict[str, tuple[str, dict[str, Any]]] = {
    "another code": (SECRET, {"code": {"coding": [{"system": LOINC, "code": "other"}]}}),
    "another code and a text": (
        SECRET,
        {"code": {"coding": [{"system": LOINC, "code": "other"}], "text": "x"}},
    ),
    "another system": (SECRET, {"code": {"coding": [{"system": "urn:x", "code": "secret"}]}}),
    "another system, no code": (SECRET, {"code": {"coding": [{"system": "urn:x", "display": "x"}]}}),
    "another code, no system": (SECRET, {"code": {"coding": [{"code": "other"}]}}),
    "another status": ("status=urn:x|final", {"status": "amended"}),
    "no category": ("category=lab", {}),
    "no status": ("status=final", {}),
    "no subject": ("subject=Patient/a", {}),
    "no component": ("component-code=x", {}),
    "another subject": ("subject=Patient/a", {"subject": {"reference": "Patient/b"}}),
    "another server's subject": ("subject=Patient/a", {"subject": {"reference": "https://x/fhir/Patient/b"}}),
    "a subject of another type": ("patient=Patient/a", {"subject": {"reference": "Group/a"}}),
    "another date": ("date=2026", {"effectiveDateTime": "2025-12-31"}),
    "no date": ("date=2026", {}),
    "a smaller quantity": ("value-quantity=gt5", {"valueQuantity": {"value": 5}}),
    "another unit": (
        "value-quantity=gt5|urn:u|mg",
        {"valueQuantity": {"value": 7, "system": "urn:u", "code": "g"}},
    ),
    "another unit, with a comparator": (
        "value-quantity=gt5|urn:u|mg",
        {"valueQuantity": {"value": 7, "comparator": ">", "system": "urn:u", "code": "g"}},
    ),
    "another kind of value": ("value-quantity=gt5", {"valueString": "7"}),
    "another text": ("value-string=x", {"valueString": "y"}),
}


@pytest.mark.parametrize(("text", "elements"), UNCLEAR.values(), ids=UNCLEAR.keys())
def test_what_is_unclear_cannot_be_told(text: str, elements: dict[str, Any]) -> None:
    assert evaluable(R4, "Observation", term(text))
    assert told({"resourceType": "Observation"} | elements, text) is None


@pytest.mark.parametrize(("text", "elements"), ANOTHER.values(), ids=ANOTHER.keys())
def test_what_is_another_is_no(text: str, elements: dict[str, Any]) -> None:
    assert told({"resourceType": "Observation"} | elements, text) is False


def test_what_surely_matches_is_a_yes_whatever_else_is_unclear() -> None:
    coding = [{}, {"system": LOINC, "code": "secret"}]
    assert told({"resourceType": "Observation", "code": {"coding": coding}}, SECRET) is True
    assert told({"resourceType": "Observation", "code": {"coding": coding[1:]}}, f"{SECRET},x") is True


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (
            {"resourceType": "MedicationRequest", "medicationReference": {"reference": "Medication/m"}},
            "code=x",
        ),
        ({"resourceType": "Immunization"}, "vaccine-code=x"),
        ({"resourceType": "DocumentReference"}, "type=x"),
        ({"resourceType": "FamilyMemberHistory", "condition": [{"outcome": {}}]}, "code=x"),
        ({"resourceType": "Patient", "name": [{"_family": MASKED, "given": ["Ann"]}]}, "name=m"),
        ({"resourceType": "Patient", "name": [{"period": {"start": "2026"}}]}, "name=m"),
        ({"resourceType": "Patient", "telecom": [{"value": "555"}]}, "phone=555"),
        (
            {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": "0.5"}]},
            "probability=0.5",
        ),
        ({"resourceType": "ValueSet", "url": 7}, "url=http://x/y"),
        ({"resourceType": 7, "code": {"coding": [{"code": "x"}]}}, "code=y"),
        ("Observation", "code=x"),
    ],
)
def test_others_that_cannot_be_told(resource: Any, text: str) -> None:
    assert told(resource, text) is None


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ({"resourceType": "Encounter"}, "type=x"),
        ({"resourceType": "Patient", "name": [{"family": "M", "given": ["Ann"]}]}, "name=x"),
        ({"resourceType": "Patient", "telecom": [{"system": "email", "value": "555"}]}, "phone=555"),
        (
            {"resourceType": "QuestionnaireResponse", "questionnaire": "http://x/q"},
            "questionnaire=http://x/r",
        ),
    ],
)
def test_others_that_are_no(resource: dict[str, Any], text: str) -> None:
    assert told(resource, text) is False


@pytest.mark.parametrize(
    ("asked", "found", "answer"),
    [
        ("http://x/q", "http://x/q", True),
        ("http://x/q", "http://x/q|1", True),
        ("http://x/q|1", "http://x/q|1", True),
        ("http://x/q|1", "http://x/q|2", False),
        ("http://x/q|1", "http://x/q", None),
        ("http://x/q", "http://x/qq", False),
    ],
)
def test_canonicals(asked: str, found: str, answer: bool | None) -> None:
    resource = {"resourceType": "QuestionnaireResponse", "questionnaire": found}
    text = "questionnaire=" + asked.replace("|", "\\|")
    assert told(resource, text) is answer


def test_a_negation_of_what_cannot_be_told_cannot_be_told() -> None:
    odd = {"resourceType": "Observation", "code": {"coding": [{"system": LOINC}]}}
    assert told(odd, "code:not=x") is None
    assert told({"resourceType": "Observation"}, "code:not=x") is True


@given(TREES)
def test_a_no_is_only_said_of_codes_that_were_read(tree: object) -> None:
    if told({"resourceType": "Observation", "code": tree}, "code=y") is not False:
        return
    for value in tree if isinstance(tree, list) else [tree]:
        codings = value["coding"] if isinstance(value, dict) and "coding" in value else [value]
        for coding in codings:
            code = coding.get("code", coding.get("value")) if isinstance(coding, dict) else coding
            assert isinstance(code, (str, bool))
            assert code != "y"
