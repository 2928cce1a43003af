"""Contained resources: who is a stranger, which records a rule may deny, what a local reference means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.facts import Facts, facts_of
from gateway.core.fhir.mentions import Mention
from gateway.core.values import Label
from gateway.mapping import load_catalogue
from tests.support.hospital import record

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")


def of(tree: Any) -> Facts:
    return facts_of(json.dumps(tree).encode(), R4, BASES)


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/a"}, **more}


INNER = {"resourceType": "Condition", "id": "c", "meta": {"security": [{"system": "s", "code": "c"}]}}


@pytest.mark.parametrize(
    ("inner", "stranger"),
    [
        ({"resourceType": "Practitioner", "id": "c"}, False),
        ({"resourceType": "Medication", "id": "c"}, False),
        ({**INNER, "subject": {"reference": "Patient/a"}}, False),
        ({**INNER, "subject": {"reference": "Patient/b"}}, True),
        ({**INNER, "subject": {"reference": "Patient/a2"}}, True),
        (INNER, True),
        ({"resourceType": "Patient", "id": "c"}, True),
        ({"resourceType": "RelatedPerson", "id": "c", "patient": {"reference": "Patient/a"}}, True),
        ({"resourceType": "Group", "id": "c"}, True),
        ({**record("Consent/c"), "patient": {"reference": "Patient/a"}}, False),
        ({"resourceType": "Consent", "id": "c", "patient": {"reference": "Patient/a"}}, True),
        ({"resourceType": "Nonsense", "id": "c"}, True),
        ({"id": "c"}, True),
    ],
)
def test_contained(inner: dict[str, Any], stranger: bool) -> None:
    found = of(
        observation(
            contained=[{"resourceType": "Practitioner", "id": "p"}, inner], focus=[{"reference": "#c"}]
        )
    )
    assert found.strangers == ((1,) if stranger else ())
    labels = frozenset({Label("s", "c")} if "meta" in inner and not stranger else ())
    doctor = Inner(0, "#p", "Practitioner", frozenset())
    kept = None if stranger else Inner(1, "#c", inner["resourceType"], labels)
    assert found.inner == ((doctor,) if kept is None else (doctor, kept))
    outside = [mention for mention in found.mentions if mention.place[0] != "contained"]
    assert outside == [Mention(("focus", 0), kept, True)]
    assert found.labels == labels


@pytest.mark.parametrize("security", ["HIV", None, [7]])
def test_a_contained_label_that_is_not_understood(security: object) -> None:
    inner = {**INNER, "meta": {"security": security}, "subject": {"reference": "Patient/a"}}
    found = of(observation(contained=[inner]))
    assert found.inner[0].labels == found.labels == {Label("", "")}


DOCTOR = Inner(0, "#c", "Practitioner", frozenset())
LOCAL: list[tuple[str, list[dict[str, Any]], str, Inner | bool]] = [
    ("a doctor", [{"id": "c"}], "#c", DOCTOR),
    ("a doctor with the sign in the id", [{"id": "#c"}], "#c", DOCTOR),
    ("the container", [{"id": "c"}], "#", False),
    ("nothing", [{"id": "c"}], "#MRN-B", True),
    ("nothing, without an id", [{}], "#", False),
    ("nothing, by an empty id", [{"resourceType": "Patient"}], "#", False),
    ("two of one id", [{"id": "c"}, {"id": "c"}], "#c", True),
    ("a stranger of a doctor's id", [{"id": "c"}, {"id": "c", "resourceType": "Patient"}], "#c", True),
]
"""`True`: the reference goes, whatever becomes of what is contained; a record: it goes with that."""


@pytest.mark.parametrize(
    ("inner", "reference", "masked"), [row[1:] for row in LOCAL], ids=[row[0] for row in LOCAL]
)
def test_local_references(inner: list[dict[str, Any]], reference: str, masked: Inner | bool) -> None:
    held = [{"resourceType": "Practitioner", **resource} for resource in inner]
    found = of(observation(contained=held, focus=[{"reference": reference, "display": "d"}]))
    target = masked if isinstance(masked, Inner) else None
    assert found.mentions == ((Mention(("focus", 0), target, True),) if masked else ())


def test_a_contained_resource_speaks_as_its_own_type() -> None:
    coverage = {
        "resourceType": "Coverage",
        "id": "c",
        "beneficiary": {"reference": "Patient/a"},
        "subscriber": {"display": "Bob"},
    }
    assert [m.place for m in of(observation(contained=[coverage])).mentions] == [
        ("contained", 0, "subscriber")
    ]
    assert [m.place for m in of({**coverage, "id": "x"}).mentions] == [("subscriber",)]
    assert of(observation(contained=[{**coverage, "subscriber": {"reference": "Patient/a"}}])).mentions == ()
    inner = {
        "resourceType": "Specimen",
        "id": "s",
        "subject": {"reference": "Patient/a"},
        "container": [{"identifier": [{"value": "1"}]}],
    }
    assert of(observation(contained=[inner])).mentions == ()
