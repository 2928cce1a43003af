"""What is taken out of a resource, what goes with it, and that all else stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.consent.egress import EGRESS
from gateway.core.fhir import codec
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.facts import facts_of
from gateway.core.fhir.mask import MASKED, UNKNOWN
from gateway.core.fhir.release import build_instance
from gateway.core.fhir.scan import Place
from gateway.core.fhir.telling import Notice, Telling
from gateway.core.values import Label, Shape
from gateway.mapping import load_catalogue, load_outlines

R4 = load_catalogue("R4")
OUTLINES = load_outlines("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
NORMAL = Label(CONFIDENTIALITY, "N")
MASK, NOT_KNOWN = json.loads(MASKED), json.loads(UNKNOWN)
TEXT = {"status": "generated", "div": "<div>all of it</div>"}


def released(
    raw: bytes,
    *cuts: Place,
    trims: tuple[Place, ...] | None = None,
    left: frozenset[Label] | None = None,
    notice: Notice = "silent",
) -> bytes:
    candidate = Candidate(raw, facts_of(raw, R4, BASES), cuts=cuts, trims=trims, left=left)
    return build_instance(candidate, frozenset(), Shape(), OUTLINES, Telling(notice, EGRESS))


def left_of(tree: dict[str, Any], *cuts: Place, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(released(json.dumps(tree).encode(), *cuts, **more))
    return made


def coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}


PRESCRIPTION = {
    "resourceType": "MedicationRequest",
    "id": "m7",
    "meta": {
        "versionId": "3",
        "security": [
            coding(CONFIDENTIALITY, "R"),
            coding(ACT_CODE, "HIV"),
            coding(ACT_CODE, "NORDSCLCD"),
        ],
    },
    "text": TEXT,
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"coding": [coding("http://www.nlm.nih.gov/research/umls/rxnorm", "26225")]},
    "subject": {"reference": "Patient/P1"},
    "authoredOn": "2026-05-30",
    "requester": {"reference": "Practitioner/d1"},
    "reasonCode": [{"coding": [coding("http://hl7.org/fhir/sid/icd-10-cm", "B20")]}],
    "note": [{"text": "on antiretrovirals"}],
}


@pytest.mark.parametrize(
    ("notice", "tags"), [("silent", []), ("generic", []), ("explicit", [coding(VALUE, "REDACTED")])]
)
def test_a_prescription_without_its_reason(notice: Notice, tags: list[object]) -> None:
    """An antiemetic whose reason is HIV: reason, note and narrative are gone, and so are the labels."""
    gone = {"text", "reasonCode", "note"}
    made = left_of(PRESCRIPTION, ("reasonCode",), ("note",), left=frozenset({NORMAL}), notice=notice)
    assert made == {
        **{name: value for name, value in PRESCRIPTION.items() if name not in gone},
        "meta": {
            "versionId": "3",
            "security": [coding(ACT_CODE, "NORDSCLCD"), coding(CONFIDENTIALITY, "N"), *tags],
        },
    }


OBSERVATION = {
    "resourceType": "Observation",
    "id": "x",
    "status": "final",
    "code": {"text": "panel"},
    "subject": {"reference": "Patient/a"},
}
CLAIM = {
    "resourceType": "Claim",
    "id": "c",
    "patient": {"reference": "Patient/a"},
    "diagnosis": [{"sequence": n, "diagnosisCodeableConcept": {"text": f"d{n}"}} for n in (1, 2, 3)],
    "insurance": [{"sequence": 1}],
    "item": [{"sequence": 1, "diagnosisSequence": [1, 2]}, {"sequence": 2, "diagnosisSequence": [2]}],
}
KEPT_ITEMS = [{"sequence": 1, "diagnosisSequence": [1]}, {"sequence": 2}]
# What is there, the places cut, what is left of the elements that change (None: nothing).
CASES: dict[str, tuple[dict[str, Any], list[Place], dict[str, Any]]] = {
    "an element": ({**OBSERVATION, "note": [{"text": "n"}]}, [("note",)], {"note": None}),
    "one of several": (
        {**OBSERVATION, "component": [{"valueString": s} for s in "abc"]},
        [("component", 1)],
        {"component": [{"valueString": "a"}, {"valueString": "c"}]},
    ),
    "two of several, by their first numbers": (
        {**OBSERVATION, "component": [{"valueString": s} for s in "abc"]},
        [("component", 0), ("component", 2)],
        {"component": [{"valueString": "b"}]},
    ),
    "the only one": (
        {**OBSERVATION, "component": [{"valueString": "a"}]},
        [("component", 0)],
        {"component": None},
    ),
    "an element of each": (
        {**OBSERVATION, "component": [{"valueString": s, "code": {"text": s}} for s in "ab"]},
        [("component", "valueString")],
        {"component": [{"code": {"text": "a"}}, {"code": {"text": "b"}}]},
    ),
    "of a choice, the type that is there": (
        {**OBSERVATION, "valueString": "v"},
        [("valueString",), ("valueQuantity",)],
        {"valueString": None},
    ),
    "a primitive with what is beside it": (
        {**OBSERVATION, "valueString": "v", "_valueString": {"id": "HIV"}},
        [("valueString",)],
        {"valueString": None, "_valueString": None},
    ),
    "only what is beside it": (
        {**OBSERVATION, "_valueString": {"extension": [{"url": "HIV"}]}},
        [("valueString",)],
        {"_valueString": None},
    ),
    "one of several primitives, with what is beside it": (
        {
            "resourceType": "Patient",
            "id": "a",
            "address": [{"line": ["x", "HIV"], "_line": [None, {"id": "y"}]}],
        },
        [("address", 0, "line", 1)],
        {"address": [{"line": ["x"]}]},
    ),
    "what is beside another stays": (
        {
            "resourceType": "Patient",
            "id": "a",
            "name": [{"given": ["x", "HIV"], "_given": [{"id": "y"}, None]}],
        },
        [("name", 0, "given", 1)],
        {"name": [{"given": ["x"], "_given": [{"id": "y"}]}]},
    ),
    "a shape that is none, whole": ({**OBSERVATION, "note": {"text": "n"}}, [("note", 0)], {"note": None}),
    "a text in the place of an object": ({**OBSERVATION, "note": "n"}, [("note", "text")], {"note": None}),
    "nothing there": (OBSERVATION, [("note", 3), ("component", 0, "code")], {}),
    "beyond the end": ({**OBSERVATION, "note": [{"text": "n"}]}, [("note", 1)], {}),
    "a required element": (OBSERVATION, [("code",)], {"code": NOT_KNOWN}),
    "a required element, by its only part": (OBSERVATION, [("code", "text")], {"code": NOT_KNOWN}),
    "a required primitive": (OBSERVATION, [("status",)], {"status": None, "_status": NOT_KNOWN}),
    "a required reference": (
        {**PRESCRIPTION, "meta": {}, "text": TEXT},
        [("subject",)],
        {"subject": NOT_KNOWN, "text": None},
    ),
    "a required choice": (
        {**PRESCRIPTION, "meta": {"versionId": "1"}},
        [("medicationCodeableConcept",)],
        {"medicationCodeableConcept": NOT_KNOWN, "text": None},
    ),
    "a required list": (CLAIM, [("insurance",)], {"insurance": [NOT_KNOWN]}),
    "a diagnosis, with what points at it": (
        CLAIM,
        [("diagnosis", 1)],
        {"diagnosis": [CLAIM["diagnosis"][0], CLAIM["diagnosis"][2]], "item": KEPT_ITEMS},  # type: ignore[index]
    ),
    "all diagnoses, with what points at them": (
        CLAIM,
        [("diagnosis",)],
        {"diagnosis": None, "item": [{"sequence": 1}, {"sequence": 2}]},
    ),
    "narrative of sections": (
        {
            "resourceType": "Composition",
            "id": "x",
            "subject": {"reference": "Patient/a"},
            "section": [{"title": "t", "text": TEXT}, {"title": "u", "code": {"text": "HIV"}}],
        },
        [("section", 1)],
        {"section": [{"title": "t"}]},
    ),
}


@pytest.mark.parametrize(("tree", "cuts", "changed"), CASES.values(), ids=CASES)
def test_what_is_left(tree: dict[str, Any], cuts: list[Place], changed: dict[str, Any]) -> None:
    wanted = {**tree, **changed}
    made = left_of(tree, *cuts)
    assert made == {name: value for name, value in wanted.items() if value is not None}
    explicit = left_of(tree, *cuts, notice="explicit")
    assert explicit.pop("meta")["security"][-1] == coding(VALUE, "REDACTED")
    told = json.loads(json.dumps(made).replace('"unknown"', '"masked"'))
    told.pop("meta", None)
    assert explicit == told


# --- Contained resources ----------------------------------------------------------------------------

DOCTOR = {"resourceType": "Practitioner", "id": "p", "name": [{"family": "F"}]}
CLINIC = {"resourceType": "Organization", "id": "o", "name": "HIV clinic"}
ROLE = {"resourceType": "PractitionerRole", "id": "r", "organization": {"reference": "#o"}}
CONDITION = {
    "resourceType": "Condition",
    "id": "c",
    "subject": {"reference": "Patient/a"},
    "recorder": {"reference": "#r"},
}
INTO = {"reasonReference": [{"reference": "#c"}], "performer": [{"actor": {"reference": "#p"}}]}
PROCEDURE = {
    "resourceType": "Procedure",
    "id": "x",
    "status": "completed",
    "subject": {"reference": "Patient/a"},
    "contained": [CLINIC, DOCTOR, CONDITION, ROLE],
    **INTO,
}
BACK = {**CONDITION, "id": "v", "recorder": {"reference": "#"}}


@pytest.mark.parametrize(
    ("more", "cuts", "stay"),
    [
        ({}, [("reasonReference", 0)], ["p"]),
        ({}, [("performer",)], ["o", "c", "r"]),
        ({}, [("contained", 2, "recorder")], ["p", "c"]),
        ({}, [("note",)], ["o", "p", "c", "r"]),
        ({"recorder": {"reference": "#r"}}, [("reasonReference",)], ["o", "p", "r"]),
        ({"contained": [DOCTOR, BACK]}, [("note",)], ["p", "v"]),
        (
            {"contained": [DOCTOR, {**CLINIC, "id": "#o"}], "location": {"reference": "#o"}},
            [("location",)],
            ["p"],
        ),
        ({"contained": [CLINIC, ROLE], "location": {"reference": "#o"}}, [("location",)], ["o", "r"]),
        ({"reasonReference": [{"reference": "#c"}] * 2}, [("reasonReference", 0)], ["o", "p", "c", "r"]),
    ],
    ids=[
        *("a chain", "the other chain", "in the middle of a chain", "nothing referred to it"),
        *(
            "referred to elsewhere",
            "refers to its container",
            "id with its sign",
            "referred to by one that stands alone",
            "referred to twice",
        ),
    ],
)
def test_contained_resources_that_nothing_refers_to_any_more(
    more: dict[str, Any], cuts: list[Place], stay: list[str]
) -> None:
    made = left_of({**PROCEDURE, **more}, *cuts)
    assert [inner["id"] for inner in made["contained"]] == stay


def test_a_contained_resource_goes_with_the_references_to_it() -> None:
    made = left_of(PROCEDURE, ("contained", 1), notice="explicit")
    assert [inner["id"] for inner in made["contained"]] == ["o", "c", "r"]
    assert made["performer"] == [{"actor": MASK}]
    assert left_of(PROCEDURE, ("contained",))["reasonReference"] == [NOT_KNOWN]


def test_a_contained_drug_goes_and_the_required_reference_stays_without_a_value() -> None:
    drug = {"resourceType": "Medication", "id": "d", "code": {"text": "tenofovir"}, "text": TEXT}
    tree = {
        "resourceType": "MedicationRequest",
        "id": "x",
        "subject": {"reference": "Patient/a"},
        "contained": [drug],
        "medicationReference": {"reference": "#d", "display": "tenofovir"},
    }
    made = left_of(tree, ("contained", 0))
    assert made["medicationReference"] == NOT_KNOWN
    assert "contained" not in made
    inside = left_of(tree, ("contained", 0, "code"))
    assert inside["contained"] == [{"resourceType": "Medication", "id": "d"}], "narrative goes there too"


# --- Bytes ------------------------------------------------------------------------------------------

RAW = (
    b'{"resourceType":"Observation","id":"x","status":"final","code":{},'
    b'"component":[{"valueInteger": 7},{"valueString":"HIV"},{"valueQuantity":{"value":1.0e3}}],'
    b'"valueQuantity":{ "value" : 7.10},"t":"\\u00e9\\/"}'
)


def test_what_is_not_cut_keeps_its_bytes() -> None:
    left = released(RAW, ("component", 1))
    assert left == RAW.replace(b'{"valueString":"HIV"},', b"")


@pytest.mark.parametrize("notice", ["silent", "generic", "explicit"])
def test_a_record_without_cuts_leaves_as_its_bytes(notice: Notice) -> None:
    assert released(RAW, notice=notice) is RAW


def test_what_is_more_than_a_role_needs_is_tagged_whether_it_was_there_or_not() -> None:
    tag = {"tag": [coding(VALUE, "SUBSETTED")]}
    with_note = {**OBSERVATION, "note": [{"text": "n"}], "text": TEXT}
    assert left_of(with_note, trims=(("note",), ("text",))) == {**OBSERVATION, "meta": tag}
    assert left_of(OBSERVATION, trims=()) == {**OBSERVATION, "meta": tag}
    assert left_of(OBSERVATION, trims=(), notice="explicit") == {**OBSERVATION, "meta": tag}


def test_of_a_resource_without_type_or_id_nothing_leaves() -> None:
    with pytest.raises(AssertionError):
        released(RAW, ("id",))


# --- Laws -------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.sampled_from(["x", "HIV", "#p", "#o"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
TREES = st.fixed_dictionaries(
    {"resourceType": st.just("Procedure"), "id": st.just("x"), "status": st.sampled_from(["completed"])},
    optional={
        "text": st.just(TEXT),
        "note": VALUES,
        "_note": VALUES,
        "reasonCode": VALUES,
        "performer": st.lists(st.fixed_dictionaries({"actor": st.just({"reference": "#p"})}), max_size=2),
        "contained": st.lists(st.sampled_from([DOCTOR, CLINIC, ROLE]), max_size=3),
        "meta": st.fixed_dictionaries(
            {},
            optional={
                "versionId": st.just("1"),
                "security": st.lists(
                    st.sampled_from(
                        [coding(CONFIDENTIALITY, "R"), coding(ACT_CODE, "HIV"), coding("s", "c"), {"x": 1}]
                    ),
                    max_size=3,
                ),
            },
        ),
    },
)
STEPS = st.sampled_from(["a", "b", "c", "d", 0, 1, 2, "actor"])
PLACES = st.lists(
    st.tuples(st.sampled_from(["note", "reasonCode", "performer", "status", "contained"]), STEPS, STEPS)
    | st.tuples(st.sampled_from(["note", "reasonCode", "performer", "status", "contained"])),
    max_size=3,
)
NOTICES: st.SearchStrategy[Notice] = st.sampled_from(["silent", "generic", "explicit"])


def leaves(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, Any]]:
    """Values with the keys that lead to them; indexes left out, as elements before them may go."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*place, key))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, place)]
    return [(place, value)]


VOCABULARY = [
    *leaves(coding(VALUE, "REDACTED")),
    *[leaf for level in "NRV" for leaf in leaves(coding(CONFIDENTIALITY, level))],
    *[(place[-2:], value) for place, value in leaves([MASK, NOT_KNOWN])],
]


@settings(max_examples=300, deadline=None)
@given(TREES, PLACES, NOTICES)
def test_nothing_is_added(tree: dict[str, Any], places: list[Place], notice: Notice) -> None:
    """Every value that leaves was there, or is of the fixed vocabulary of tags and of absence."""
    before = leaves(tree)
    for leaf in leaves(left_of(tree, *places, notice=notice)):
        place, value = leaf
        assert leaf in before or (place[-1:], value) in VOCABULARY or (place[-2:], value) in VOCABULARY


@settings(max_examples=300, deadline=None)
@given(TREES, PLACES, NOTICES)
def test_what_leaves_is_strict_json_and_cutting_again_changes_nothing(
    tree: dict[str, Any], places: list[Place], notice: Notice
) -> None:
    named = [tuple(step for step in place if isinstance(step, str)) for place in places]
    once = released(json.dumps(tree).encode(), *named, notice=notice)
    codec.parse(once)
    assert released(once, *named, notice=notice) == once


@settings(max_examples=200, deadline=None)
@given(TREES, PLACES)
def test_what_is_cut_is_not_there(tree: dict[str, Any], places: list[Place]) -> None:
    made = left_of(tree, *places)
    for place in places:
        if len(place) == 1 and place[0] != "status":
            assert place[0] not in made
            assert f"_{place[0]}" not in made
    assert not places or "text" not in made
