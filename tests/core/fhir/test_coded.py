"""Codes in a record: what it is about, and what is anywhere in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.coded import holds_coding, is_about, is_document
from gateway.core.values import Label
from gateway.mapping import load_catalogue
from tests.core.fhir.matching import R4, TREES

LOINC, RXNORM = "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm"
HIV = Label(LOINC, "56888-1")
DRUG = Label(RXNORM, "276237")


def concept(*codings: Any, **more: Any) -> dict[str, Any]:
    return {"coding": [dict(zip(("system", "code"), c, strict=True)) for c in codings], **more}


def observation(code: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "code": code, **more}


OTHER = concept((LOINC, "2339-0"))
CONTAINED = {
    "resourceType": "MedicationRequest",
    "contained": [
        {"resourceType": "Medication", "id": "drug", "code": concept(DRUG)},
        {"resourceType": "Medication", "id": "other", "code": concept((RXNORM, "1"))},
        {"resourceType": "Medication", "id": "blank"},
    ],
}


def shown(answer: bool | None) -> str:
    return "?" if answer is None else "-+"[answer]


@pytest.mark.parametrize(
    ("record", "wanted", "expected"),
    [
        # Two answers: what it is about, anywhere.
        (observation(concept(HIV)), HIV, "++"),
        (observation(concept((LOINC, "56888-2"))), HIV, "--"),
        (observation(concept(("http://loinc.com", "56888-1"))), HIV, "--"),
        (observation(concept(("https://loinc.org/", "56888-1"))), HIV, "++"),
        (observation(concept(("http://loinc.org|2.80", "56888-1"))), HIV, "++"),
        (observation(concept(("http://loinc.org/2.80", "56888-1"))), HIV, "??"),
        (observation(concept(("urn:oid:2.16.840.1.113883.6.1", "56888-1"))), HIV, "??"),
        (observation(concept(("urn:oid:2.16.840.1.113883.6.1", "56888-2"))), HIV, "--"),
        (observation(concept((LOINC, "2339-0"), HIV)), HIV, "++"),
        (observation(OTHER, category=[concept(HIV)]), HIV, "-+"),
        (observation(OTHER, valueCodeableConcept=concept(HIV)), HIV, "-+"),
        (observation(OTHER, component=[{"code": concept(HIV)}]), HIV, "-+"),
        (observation(OTHER, component=[{"code": concept((LOINC, "56888"))}]), HIV, "--"),
        (observation(OTHER, extension=[{"url": "u", "valueCoding": concept(HIV)["coding"][0]}]), HIV, "-+"),
        (observation(OTHER, meta={"security": [{"system": LOINC, "code": "56888-1"}]}), HIV, "-+"),
        # What is not said, or not whole, is open.
        (observation(concept((LOINC, "56888-1"))), Label(LOINC, "56888-1"), "++"),
        (observation({"coding": [{"code": "56888-1"}]}), HIV, "??"),
        (observation({"coding": [{"code": "2339-0"}]}), HIV, "--"),
        (observation({"coding": [{"system": LOINC}]}), HIV, "??"),
        (observation({"coding": [{"system": "http://snomed.info/sct"}]}), HIV, "--"),
        (observation({"coding": [{"system": LOINC, "_code": {"extension": []}}]}), HIV, "??"),
        (observation({"text": "HIV test"}), HIV, "??"),
        (observation({"coding": []}), HIV, "??"),
        (observation(None), HIV, "??"),
        (observation([]), HIV, "??"),
        ({"resourceType": "Observation"}, HIV, "??"),
        (observation(OTHER, valueCodeableConcept={"text": "HIV"}), HIV, "--"),
        (observation(OTHER, component=[{"code": {"coding": [{"code": "56888-1"}]}}]), HIV, "-?"),
        (observation(OTHER, interpretation=[{"coding": [{"system": LOINC, "_code": {}}]}]), HIV, "-?"),
        (observation(concept((LOINC, "ABC"))), Label(LOINC, "abc"), "??"),
        (observation(concept((LOINC, "ABC"))), Label(LOINC, "ABC"), "++"),
        (observation(concept((LOINC, "56888-1"))), Label("", "56888-1"), "??"),
        (observation({"coding": [{"code": "local"}]}), Label("", "local"), "++"),
        # The code of a contained record that it is about; of one elsewhere nothing is known.
        (CONTAINED | {"medicationReference": {"reference": "#drug"}}, DRUG, "++"),
        (CONTAINED | {"medicationReference": {"reference": "#other"}}, DRUG, "-+"),
        (CONTAINED | {"medicationReference": {"reference": "#blank"}}, DRUG, "?+"),
        (CONTAINED | {"medicationReference": {"reference": "#none"}}, Label(RXNORM, "2"), "??"),
        (
            {"resourceType": "MedicationRequest", "medicationReference": {"reference": "Medication/m"}},
            DRUG,
            "??",
        ),
        ({"resourceType": "MedicationRequest", "medicationCodeableConcept": concept(DRUG)}, DRUG, "++"),
        ({"resourceType": "MedicationRequest", "medicationCodeableConcept": OTHER}, DRUG, "--"),
        ({"resourceType": "MedicationRequest", "reasonCode": [concept(DRUG)]}, DRUG, "?+"),
        ({"resourceType": "Immunization", "vaccineCode": OTHER}, HIV, "--"),
        ({"resourceType": "Encounter", "class": {"system": LOINC, "code": "AMB"}}, Label(LOINC, "AMB"), "++"),
        ({"resourceType": "Encounter", "class": {"system": LOINC, "code": "IMP"}}, Label(LOINC, "AMB"), "--"),
        # Types that are about no code.
        ({"resourceType": "Patient", "maritalStatus": concept(HIV)}, HIV, "-+"),
        ({"resourceType": "Patient"}, HIV, "--"),
        ({"resourceType": "Nonsense"}, HIV, "--"),
    ],
    ids=str,
)
def test_codes(record: dict[str, Any], wanted: Label, expected: str) -> None:
    assert shown(is_about(record, R4, wanted)) + shown(holds_coding(record, R4, wanted)) == expected


@pytest.mark.parametrize(
    ("release", "record", "expected"),
    [
        ("R5", {"medication": {"concept": concept(DRUG)}}, "+"),
        ("R5", {"medication": {"concept": OTHER}}, "-"),
        ("R5", {"medication": {"reference": {"reference": "Medication/m"}}}, "?"),
        ("R5", {"medicationCodeableConcept": concept(DRUG)}, "?"),
        ("R4", {"medication": {"concept": concept(DRUG)}}, "?"),
        ("R4B", {"medicationCodeableConcept": concept(DRUG)}, "+"),
    ],
    ids=str,
)
def test_each_release_has_its_own_elements(release: Release, record: dict[str, Any], expected: str) -> None:
    record |= {"resourceType": "MedicationRequest"}
    assert shown(is_about(record, load_catalogue(release), DRUG)) == expected


NOTE = Label(LOINC, "28627-8")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"resourceType": "DocumentReference", "type": concept(NOTE)}, "+"),
        ({"resourceType": "Composition", "type": concept(NOTE)}, "+"),
        ({"resourceType": "DocumentReference", "type": OTHER}, "-"),
        ({"resourceType": "DocumentReference", "type": OTHER, "category": [concept(NOTE)]}, "-"),
        ({"resourceType": "DocumentReference"}, "?"),
        ({"resourceType": "Encounter", "type": [concept(NOTE)]}, "-"),
    ],
    ids=str,
)
def test_documents(record: dict[str, Any], expected: str) -> None:
    assert shown(is_document(record, R4, NOTE)) == expected


@given(TREES, st.sampled_from(["Observation", "MedicationRequest", "Patient"]))
def test_what_it_is_about_is_somewhere_in_it(tree: Any, kind: str) -> None:
    record = {"resourceType": kind, "code": tree, "medicationReference": tree}
    wanted = Label("x", "2026")
    if is_about(record, R4, wanted):
        assert holds_coding(record, R4, wanted)
    if is_about(record, R4, wanted) is None:
        assert holds_coding(record, R4, wanted) is not False
