"""Who owns a record: the shapes a reference comes in, and the types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.compartment import members, owners, reference_of
from gateway.core.values import Ref
from gateway.mapping import load_catalogue

BASES = ("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
R4 = load_catalogue("R4")
OURS = Ref("Patient", "pat-a")


@pytest.mark.parametrize(
    "text",
    [
        "Patient/pat-a",
        "Patient/pat-a/_history/2",
        "https://gw.example/fhir/Patient/pat-a",
        "http://upstream.internal:8080/fhir/Patient/pat-a/_history/9",
    ],
)
def test_a_reference_to_ours(text: str) -> None:
    assert reference_of({"reference": text}, BASES) == OURS
    assert reference_of({"reference": text, "type": "Patient"}, BASES) == OURS


@pytest.mark.parametrize(
    "value",
    [
        {"reference": text}
        for text in (
            "https://evil.example/fhir/Patient/pat-a",
            "https://gw.example/fhirPatient/pat-a",
            "https://gw.example/fhir//Patient/pat-a",
            "HTTPS://gw.example/fhir/Patient/pat-a",
            "https://gw.example/fhir.evil.example/Patient/pat-a",
            "http://gw.example/fhir/Patient/pat-a",
            "urn:uuid:7a3",
            "#x",
            "#Patient/pat-a",
            "patient/pat-a",
            "/Patient/pat-a",
            "Patient/pat-a/",
            "Patient/pat-a#x",
            "Patient/pat-a?x",
            "Patient/pat-a\n",
            " Patient/pat-a",
            "Patient/..",
            "Patient/",
            "Patient",
            "Patient/pat-a/_history/",
            "Patient/pat-a/_History/1",
            "Patient/pat-a/history/1",
            "Patient/pat-a/_history/1/x",
            "Patient/pat-a|1",
            "Patient%2Fpat-a",
            "Pat\u0131ent/pat-a",
            "",
        )
    ]
    + [
        {"reference": 1},
        {"reference": ["Patient/pat-a"]},
        {"reference": None},
        {},
        {"identifier": {"value": "Patient/pat-a"}},
        "Patient/pat-a",
        ["Patient/pat-a"],
        None,
        7,
        {"reference": "Patient/pat-a", "type": "Group"},
        {"reference": "Patient/pat-a", "type": None},
    ],
    ids=str,
)
def test_no_reference_to_ours(value: object) -> None:
    assert reference_of(value, BASES) is None


def test_a_prefix_twin_is_somebody_else() -> None:
    assert reference_of({"reference": "Patient/pat-a2"}, BASES) == Ref("Patient", "pat-a2")


REF = {"reference": "Patient/pat-a"}
OTHER = {"reference": "Patient/pat-b"}


@pytest.mark.parametrize(
    ("resource", "owning", "literal"),
    [
        ({"resourceType": "Patient", "id": "pat-a", "link": [{"other": OTHER}]}, {"pat-a"}, {"pat-a"}),
        ({"resourceType": "Patient", "id": ".."}, set(), set()),
        (
            {"resourceType": "Observation", "subject": REF, "performer": [OTHER]},
            {"pat-a"},
            {"pat-a", "pat-b"},
        ),
        ({"resourceType": "Observation", "focus": [REF]}, set(), set()),
        ({"resourceType": "Observation", "subject": {"reference": "Group/pat-a"}}, set(), set()),
        ({"resourceType": "Observation", "subject": [REF]}, {"pat-a"}, {"pat-a"}),
        ({"resourceType": "Encounter", "subject": REF}, {"pat-a"}, {"pat-a"}),
        (
            {"resourceType": "Appointment", "participant": [{"actor": REF}, {"actor": OTHER}]},
            {"pat-a", "pat-b"},
            {"pat-a", "pat-b"},
        ),
        (
            {"resourceType": "Coverage", "beneficiary": REF, "subscriber": OTHER},
            {"pat-a"},
            {"pat-a", "pat-b"},
        ),
        ({"resourceType": "Device", "patient": REF}, {"pat-a"}, set()),
        ({"resourceType": "AuditEvent", "agent": [{"who": REF}]}, set(), {"pat-a"}),
        ({"resourceType": "Group", "member": [{"entity": REF}]}, set(), set()),
        ({"resourceType": "Practitioner", "id": "pat-a"}, set(), set()),
        ({"resourceType": "Task", "for": REF}, set(), set()),
        ({"resourceType": "Nonsense", "subject": REF}, set(), set()),
        ({"resourceType": ["Observation"], "subject": REF}, set(), set()),
        ({"subject": REF}, set(), set()),
        (None, set(), set()),
    ],
    ids=lambda v: str(v)[:50],
)
def test_owners_and_members(resource: object, owning: set[str], literal: set[str]) -> None:
    assert owners(resource, R4, BASES) == owning
    if isinstance(resource, dict) and R4.access(str(resource.get("resourceType"))).kind == "compartment":
        assert members(resource, R4, BASES) == literal


TREES = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["Patient/a", "Observation", "Patient", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceType", "subject", "reference", "id", "type"]), inner, max_size=4
        )
    ),
)


@given(TREES)
def test_owners_never_raises(tree: object) -> None:
    assert owners(tree, R4, BASES) <= {"a", "Observation", "Patient", "x"}
