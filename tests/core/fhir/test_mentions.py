"""Which references are mentions: those that may tell of somebody else, and those that are not understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.facts import Facts, facts_of
from gateway.core.fhir.mentions import Mention
from gateway.core.values import Ref
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
UP = BASES.upstream
SEEN = Ref("Observation", "y")


def of(tree: Any) -> Facts:
    return facts_of(json.dumps(tree).encode(), R4, BASES)


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/a"}, **more}


def whole(place: tuple[str | int, ...], target: Ref | Inner | None = None) -> Mention:
    return Mention(place, target, True)


def hushed(target: Ref | None, *words: str) -> Mention:
    return Mention(FOCUS, target, False, words)


HELD = Inner(0, "#p", "Practitioner", frozenset())
FOCUS: tuple[str | int, ...] = ("focus", 0)
ALL = whole(FOCUS)
SPOKEN = hushed(SEEN, "display")
LOST = hushed(None, "display")
ELSEWHERE = "https://x.example/fhir"
MENTIONS: list[tuple[str, dict[str, Any], Mention | None]] = [
    ("own patient", {"reference": "Patient/a", "display": "me"}, None),
    ("own patient, absolute", {"reference": "https://gw.example/fhir/Patient/a", "display": "me"}, None),
    ("own patient, a version", {"reference": "Patient/a/_history/1", "display": "me"}, None),
    ("another patient", {"reference": "Patient/b"}, ALL),
    ("a prefix twin", {"reference": "Patient/a2"}, ALL),
    ("another server's patient", {"reference": "https://x.example/fhir/Patient/a"}, ALL),
    ("a conditional reference", {"reference": "Patient?identifier=x"}, ALL),
    ("a relative", {"reference": "RelatedPerson/r"}, whole(FOCUS, Ref("RelatedPerson", "r"))),
    ("a person", {"reference": "Person/p"}, ALL),
    ("a doctor", {"reference": "Practitioner/p", "display": "Dr."}, None),
    ("a doctor elsewhere", {"reference": "https://x.example/fhir/Practitioner/p", "display": "Dr."}, None),
    ("a record, bare", {"reference": "Observation/y"}, None),
    ("a record, spoken of", {"reference": "Observation/y", "display": "d"}, SPOKEN),
    ("a record, identified", {"reference": "Observation/y", "identifier": {}}, hushed(SEEN, "identifier")),
    ("a record, extended", {"reference": "Observation/y", "_display": {}}, hushed(SEEN, "_display")),
    ("a record, absolute", {"reference": f"{UP}/Observation/y", "display": "d"}, SPOKEN),
    ("a record elsewhere", {"reference": "https://x.example/Observation/y", "display": "d"}, LOST),
    ("a denied type", {"reference": "Group/g", "display": "d"}, LOST),
    ("a placeholder", {"reference": "urn:uuid:1", "display": "d"}, LOST),
    ("a type that lies", {"reference": "Patient/b", "type": "Practitioner"}, ALL),
    ("logical, a person", {"type": "Patient", "identifier": {"value": "1"}}, ALL),
    ("logical, a record", {"type": "Condition", "display": "d"}, ALL),
    ("logical, a doctor", {"type": "Practitioner", "display": "Dr."}, None),
    ("a contained one", {"reference": "#p", "display": "d"}, whole(FOCUS, HELD)),
    ("no reference", {"reference": None, "display": "d"}, ALL),
    ("a number", {"reference": 7, "display": "d"}, ALL),
    ("a record, with more", {"reference": "Observation/y", "extension": []}, hushed(SEEN, "extension")),
    ("a record, typed", {"reference": "Observation/y", "type": "Observation"}, None),
    ("a record, odd", {"reference": "Observation/y", "type": "Observation", "x": 1}, hushed(SEEN, "x")),
    ("a record, more odd", {"reference": "Observation/y", "_reference": {}}, hushed(SEEN, "_reference")),
    ("a doctor who is said to be a patient", {"reference": "Practitioner/p", "type": "Patient"}, ALL),
    ("a placeholder for a patient", {"reference": "urn:uuid:1", "type": "Patient"}, ALL),
    ("a fragment", {"reference": "Patient/b#1"}, ALL),
    ("a version of a canonical", {"reference": "Patient/b|1"}, ALL),
    ("a doctor, with a version of a canonical", {"reference": "Practitioner/p|1"}, ALL),
    ("a slash after it", {"reference": "Patient/b/"}, ALL),
    ("a slash after its version", {"reference": "Patient/b/_history/1/"}, ALL),
    ("a slash before it", {"reference": "/Patient/b"}, ALL),
    ("a slash after it, elsewhere", {"reference": f"{ELSEWHERE}/Patient/b/"}, ALL),
    ("a patient's part, elsewhere", {"reference": f"{ELSEWHERE}/Patient/b/Observation/1"}, ALL),
    ("a patient in lower case, elsewhere", {"reference": f"{ELSEWHERE}/patient/b"}, ALL),
    ("a patient, escaped, elsewhere", {"reference": f"{ELSEWHERE}/%50atient/b"}, ALL),
    ("a query elsewhere", {"reference": "https://x.example/show?patient=b"}, ALL),
    ("a user elsewhere", {"reference": "https://b@x.example/show"}, ALL),
    ("a page elsewhere", {"reference": "https://x.example/show", "display": "d"}, LOST),
    ("a page elsewhere, bare", {"reference": "HTTPS://x.example/show"}, None),
    ("lower case", {"reference": "patient/b"}, ALL),
    ("a query", {"reference": "Patient/b?x"}, ALL),
    ("a search for a doctor", {"reference": "Practitioner?identifier=s|1", "display": "Dr."}, None),
    ("a search for nothing known", {"reference": "Nonsense?identifier=s|1"}, ALL),
    ("blanks around it", {"reference": " Patient/b "}, ALL),
    ("a line end after it", {"reference": "Practitioner/p\n"}, ALL),
    ("an underscore", {"reference": "Patient/b_MRN"}, ALL),
    ("an id of dots", {"reference": "Practitioner/.."}, ALL),
    ("an unknown type", {"reference": "Nonsense/x"}, ALL),
    ("a name", {"reference": "Bob"}, ALL),
    ("nothing in it", {"reference": ""}, ALL),
    ("another urn", {"reference": "urn:mrn:b"}, ALL),
    ("another scheme", {"reference": "file:///Patient/b"}, ALL),
    ("a list", {"reference": ["Patient/b"], "display": "Bob"}, ALL),
    ("a list, bare", {"reference": ["Patient/b"]}, ALL),
    ("an object", {"reference": {"value": "Patient/b"}, "display": "Bob"}, ALL),
    ("an object, bare", {"reference": {"value": "Patient/b"}}, ALL),
    ("a display beside it", {"reference": {"reference": "Practitioner/p"}, "display": "Bob"}, ALL),
    ("a CodeableReference", {"reference": {"reference": "Practitioner/p"}, "concept": {"text": "t"}}, None),
    ("an identifier and what no Reference has", {"identifier": {"value": "1"}, "note": "n"}, ALL),
    ("identifiers", {"identifier": [{"value": "1"}], "display": "Bob"}, ALL),
    ("a display that is a list", {"display": ["Bob"]}, ALL),
    ("a display and what no Coding has", {"display": "Bob", "code": "c", "note": "n"}, ALL),
    ("an extended identifier alone", {"_identifier": {"extension": []}}, ALL),
    ("a type that is none", {"type": 7, "display": "d"}, ALL),
    ("a coding", {"system": "s", "code": "c", "display": "d"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("node", "mention"), [row[1:] for row in MENTIONS], ids=[row[0] for row in MENTIONS])
def test_mentions(node: dict[str, Any], mention: Mention | None) -> None:
    found = of(observation(focus=[node], contained=[{"resourceType": "Practitioner", "id": "p"}]))
    assert found.mentions == (() if mention is None else (mention,))


PRIVATE: list[tuple[str, dict[str, Any], bool]] = [
    ("hasMember", {"display": "d"}, True),
    ("hasMember", {"identifier": {"value": "1"}}, True),
    ("hasMember", {"display": "d", "_reference": {"extension": []}}, True),
    ("hasMember", {"_display": {"extension": []}}, True),
    ("hasMember", {"display": "d", "code": "c"}, False),
    ("performer", {"display": "Dr."}, False),
    ("method", {"display": "d"}, False),
    ("hasMember", {"reference": {"reference": "Observation/y"}, "concept": {}}, True),
    ("performer", {"reference": {"reference": "Practitioner/p"}, "concept": {}}, False),
]


@pytest.mark.parametrize(("element", "node", "found"), PRIVATE)
def test_logical_references_where_only_records_stand(element: str, node: dict[str, Any], found: bool) -> None:
    assert [m.place for m in of(observation(**{element: [node]})).mentions] == (
        [(element, 0)] if found else []
    )


KNOWN: list[tuple[str, dict[str, Any]]] = [
    ("Claim", {"insurance": [{"focal": True, "identifier": {"value": "1"}}]}),
    ("Claim", {"related": [{"reference": {"value": "1"}, "relationship": {"text": "t"}}]}),
    ("ExplanationOfBenefit", {"payment": {"identifier": {"value": "1"}, "date": "2026"}}),
    ("CarePlan", {"activity": [{"reference": {"reference": "Observation/y"}, "progress": []}]}),
    ("Specimen", {"container": [{"identifier": [{"value": "1"}], "description": "d"}]}),
    ("Practitioner", {"qualification": [{"identifier": [{"value": "1"}], "code": {"text": "t"}}]}),
    ("ValueSet", {"compose": {"include": [{"concept": [{"code": "c", "display": "d", "designation": []}]}]}}),
    (
        "CodeSystem",
        {"concept": [{"code": "c", "display": "d", "concept": [{"code": "e", "display": "f", "x": 1}]}]},
    ),
    ("Immunization", {"education": [{"reference": "https://cdc.example/vis.pdf", "documentType": "t"}]}),
    (
        "Observation",
        {"extension": [{"url": "u", "valueRelatedArtifact": {"type": "citation", "display": "d"}}]},
    ),
]


@pytest.mark.parametrize(("kind", "members"), KNOWN, ids=[f"{kind}.{next(iter(row))}" for kind, row in KNOWN])
def test_elements_that_look_like_a_reference_stay(kind: str, members: dict[str, Any]) -> None:
    assert of({"resourceType": kind, "id": "x", **members}).mentions == ()


UNKNOWN: list[tuple[str, str, dict[str, Any]]] = [
    ("Claim", "insurance", {"identifier": {"value": "1"}, "display": "Bob", "focal": True}),
    ("Claim", "related", {"reference": {"value": "1"}, "display": "Bob"}),
    ("Claim", "related", {"reference": "Patient/b"}),
    ("Claim", "related", {"reference": ["Patient/b"]}),
    ("Claim", "payee", {"identifier": {"value": "1"}, "sequence": 1}),
    ("Specimen", "container", {"identifier": [{"value": "1"}], "display": "Bob"}),
    ("Observation", "container", {"identifier": [{"value": "1"}]}),
    ("CarePlan", "activity", {"reference": [7]}),
]


@pytest.mark.parametrize(("kind", "element", "node"), UNKNOWN)
def test_elements_that_are_not_quite_those_go(kind: str, element: str, node: dict[str, Any]) -> None:
    found = of({"resourceType": kind, "id": "x", element: [node]}).mentions
    assert found == (whole((element, 0)),)


@pytest.mark.parametrize(
    "text", ["Patient/b", "https://x.example/Patient/b", "https://x.example/?patient=b", 7]
)
def test_literature_that_names_a_person_goes(text: object) -> None:
    found = of({"resourceType": "Immunization", "id": "x", "education": [{"reference": text}]}).mentions
    assert found == (Mention(("education", 0), None, False, ("reference", "_reference")),)


@pytest.mark.parametrize("kind", ["AllergyIntolerance", "Immunization"])
@pytest.mark.parametrize(
    ("element", "node", "found"),
    [
        ("encounter", {"display": "HIV clinic"}, True),
        ("encounter", {"identifier": {"value": "E-1"}}, True),
        ("encounter", {"reference": "Encounter/1"}, False),
        ("performer", {"display": "Dr Ode"}, False),
    ],
)
def test_an_encounter_needs_no_search_parameter_to_be_one(
    kind: str, element: str, node: dict[str, Any], found: bool
) -> None:
    tree = {"resourceType": kind, "id": "x", "patient": {"reference": "Patient/a"}, element: node}
    assert of(tree).mentions == ((whole((element,)),) if found else ())
