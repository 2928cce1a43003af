"""References to a record, and authors: literal, absolute, logical, and the near misses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from gateway.core.fhir.refers import authored, refers
from gateway.core.values import Ref
from gateway.mapping import load_catalogue
from tests.core.fhir.matching import R4, TREES

BASES = ("https://gw.example/fhir", "http://up.example/fhir")
VISIT = Ref("Encounter", "5")


def is_part(one: Ref, whole: Ref) -> bool:
    return one.type == whole.type and one.id == f"{whole.id}-2"


def shown(answer: bool | None) -> str:
    return "?" if answer is None else "-+"[answer]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Encounter/5"}, "+"),
        ({"reference": "Encounter/5/_history/2"}, "+"),
        ({"reference": "https://gw.example/fhir/Encounter/5"}, "+"),
        ({"reference": "http://up.example/fhir/Encounter/5"}, "+"),
        ({"reference": "Encounter/5", "type": "Encounter", "display": "the visit"}, "+"),
        ({"reference": "Encounter/4"}, "-"),
        ({"reference": "Encounter/50"}, "-"),
        ({"reference": "EpisodeOfCare/5"}, "-"),
        ({"reference": "http://up.example/fhir/Encounter/6"}, "-"),
        ({"reference": "https://other.example/fhir/Encounter/6"}, "-"),
        ({"reference": "#visit"}, "-"),
        ({"identifier": {"value": "A1"}, "type": "Patient"}, "-"),
        # May be the visit by another name.
        ({"reference": "https://other.example/fhir/Encounter/5"}, "?"),
        ({"reference": "Encounter/5", "type": "Patient"}, "?"),
        ({"reference": "Encounter?identifier=http://a.example|1"}, "?"),
        ({"reference": "urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301"}, "?"),
        ({"identifier": {"value": "A1"}}, "?"),
        ({"identifier": {"value": "A1"}, "type": "Encounter"}, "?"),
        ({"display": "the visit in May"}, "?"),
        ({}, "-"),
        (None, "-"),
    ],
    ids=str,
)
def test_a_reference_at_an_element_for_encounters(reference: object, expected: str) -> None:
    record = {"resourceType": "Observation", "id": "o", "encounter": reference}
    assert shown(refers(record, R4, BASES, VISIT)) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # No encounter can stand here, whatever the reference says or leaves out.
        ({"subject": {"identifier": {"value": "A1"}}}, "-"),
        ({"performer": [{"display": "Dr Ann"}]}, "-"),
        ({"performer": [{"reference": "urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301"}]}, "-"),
        # Anything can.
        ({"focus": [{"identifier": {"value": "A1"}}]}, "?"),
        ({"focus": [{"reference": "Encounter/5"}]}, "+"),
        ({"extension": [{"url": "u", "valueReference": {"reference": "Encounter/5"}}]}, "+"),
        ({"extension": [{"url": "u", "valueReference": {"identifier": {"value": "A1"}}}]}, "?"),
        ({"contained": [{"resourceType": "Procedure", "encounter": {"reference": "Encounter/5"}}]}, "+"),
        ({"contained": [{"resourceType": "Procedure", "encounter": {"reference": "Encounter/4"}}]}, "-"),
        ({"contained": [{"resourceType": "Procedure", "encounter": {"display": "May"}}]}, "?"),
        # What looks like a reference and is none.
        ({"identifier": [{"value": "Encounter/5", "assigner": {"display": "Ministry"}}]}, "-"),
        ({"code": {"coding": [{"display": "Encounter/5"}], "text": "Encounter/5"}}, "-"),
        ({"note": [{"text": "Encounter/5"}]}, "-"),
    ],
    ids=str,
)
def test_references_anywhere(record: dict[str, Any], expected: str) -> None:
    record = {"resourceType": "Observation", "id": "o"} | record
    assert shown(refers(record, R4, BASES, VISIT)) == expected


def test_a_codeable_reference() -> None:
    record = {"resourceType": "MedicationRequest", "reason": [{"reference": {"reference": "Condition/c"}}]}
    r5 = load_catalogue("R5")
    assert refers(record, r5, BASES, Ref("Condition", "c")) is True
    assert refers(record, r5, BASES, Ref("Condition", "d")) is False


@pytest.mark.parametrize(
    ("record", "author", "expected"),
    [
        ({"performer": [{"reference": "Practitioner/ann"}]}, "Practitioner/ann", "+"),
        ({"performer": [{"reference": "http://up.example/fhir/Practitioner/ann"}]}, "Practitioner/ann", "+"),
        ({"performer": [{"reference": "Practitioner/anna"}]}, "Practitioner/ann", "-"),
        (
            {"performer": [{"reference": "Practitioner/bob"}, {"reference": "Practitioner/ann"}]},
            "Practitioner/ann",
            "+",
        ),
        ({"performer": [{"reference": "Organization/lab"}]}, "Practitioner/ann", "-"),
        ({"performer": [{"reference": "PractitionerRole/r"}]}, "Practitioner/ann", "?"),
        ({"performer": [{"display": "Ann"}]}, "Practitioner/ann", "?"),
        ({"performer": [{"identifier": {"value": "A1"}}]}, "Practitioner/ann", "?"),
        ({"performer": [{"reference": "#ann"}]}, "Practitioner/ann", "?"),
        ({"performer": [None]}, "Practitioner/ann", "?"),
        ({}, "Practitioner/ann", "?"),
        ({"subject": {"reference": "Practitioner/ann"}}, "Practitioner/ann", "?"),
        # Whether somebody writes for an organisation is not in the record.
        ({"performer": [{"reference": "Organization/lab"}]}, "Organization/lab", "+"),
        ({"performer": [{"reference": "Practitioner/ann"}]}, "Organization/lab", "?"),
        ({"performer": [{"reference": "Organization/ward"}]}, "Organization/lab", "-"),
        ({"performer": [{"reference": "Organization/lab-2"}]}, "Organization/lab", "+"),  # is part of it
        ({"performer": [{"reference": "Organization/lab"}]}, "Organization/lab-2", "-"),
        ({"performer": [{"reference": "Patient/pat-a"}]}, "Organization/lab", "-"),
        ({"performer": [{"reference": "Patient/pat-a"}]}, "Patient/pat-a", "+"),
        ({"performer": [{"reference": "https://x.example/fhir/Practitioner/bob"}]}, "Practitioner/ann", "-"),
        ({"performer": [{"reference": "https://x.example/fhir/Practitioner/ann"}]}, "Practitioner/ann", "?"),
        # Nobody authors who somebody is.
        ({"resourceType": "Patient"}, "Practitioner/ann", "-"),
        (
            {"resourceType": "Condition", "asserter": {"reference": "Practitioner/ann"}},
            "Practitioner/ann",
            "+",
        ),
        (
            {
                "resourceType": "Encounter",
                "participant": [{"individual": {"reference": "Practitioner/ann"}}],
                "serviceProvider": {"reference": "Organization/a"},
            },
            "Practitioner/ann",
            "+",
        ),
    ],
    ids=str,
)
def test_authors(record: dict[str, Any], author: str, expected: str) -> None:
    record = {"resourceType": "Observation", "id": "o"} | record
    assert shown(authored(record, R4, BASES, Ref(*author.split("/")), is_part)) == expected


@given(TREES)
def test_nothing_raises(tree: object) -> None:
    record = {"resourceType": "Observation", "encounter": tree, "performer": tree, "contained": tree}
    assert refers(record, R4, BASES, VISIT) in (True, False, None)
    assert authored(record, R4, BASES, Ref("Practitioner", "ann"), is_part) in (True, False, None)
