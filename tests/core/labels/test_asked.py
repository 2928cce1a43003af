"""Whether a search looks at what was taken out of a record."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place
from gateway.core.labels.asked import excluding, is_excluded, looks_at, without
from gateway.mapping import load_catalogue
from tests.core.deciding import BASES, request

R4 = load_catalogue("R4")
COMPONENT: Place = ("component", 1)

ASKED = [
    ("Observation?component-code=1", (COMPONENT,), True),
    ("Observation?component-code:not=1", (COMPONENT,), True),
    ("Observation?combo-code=1", (COMPONENT,), True),
    ("Observation?component-value-concept=1", (COMPONENT,), True),
    ("Observation?_sort=component-value-concept", (COMPONENT,), True),
    ("Observation?_sort=-component-value-concept", (COMPONENT,), True),
    ("Observation?code=1", (COMPONENT,), False),
    ("Observation?code=1&status=final", (COMPONENT,), False),
    ("Observation?_id=1&_lastUpdated=gt2020", (COMPONENT,), False),
    ("Observation?_sort=date", (COMPONENT,), False),
    ("Observation", (COMPONENT,), False),
    ("Observation?component-code=1", (), False),
    ("Observation?component-code=1", (("note",), ("text",)), False),
    ("Encounter?reason-code=1", (("reasonCode", 0),), True),
    ("Encounter?reason-reference=Condition/1", (("reasonCode", 0),), False),
    ("Encounter?diagnosis=Condition/1", (("diagnosis", 2),), True),
    ("Observation?component-code=1", (("component", 1, "valueString"),), False),
    ("Observation?component-code=1", (("component", 1, "code", "coding", 0),), True),
    ("Patient?address-city=x", (("address", 1),), True),
    ("Patient?deceased=true", (("address", 1),), True),
    ("Patient?birthdate=2000", (("_birthDate",),), True),
]


@pytest.mark.parametrize(("target", "cuts", "expected"), ASKED)
def test_what_a_search_looks_at(target: str, cuts: tuple[Place, ...], expected: bool) -> None:
    assert looks_at(request(target), R4, cuts) is expected


def test_what_was_not_asked_is_not_looked_at_by_the_upstream() -> None:
    asked = request("Observation?component-code:not=1&code=1")
    assert not looks_at(asked, R4, (COMPONENT,), excluding(asked))
    both = request("Observation?component-code:not=1&component-code=2")
    assert looks_at(both, R4, (COMPONENT,), excluding(both))


LEFT: dict[str, tuple[Tree, tuple[Place, ...], Tree]] = {
    "nothing goes": ({"a": [1, 2], "b": None}, (), {"a": [1, 2], "b": None}),
    "an element": ({"a": [1], "b": 2}, (("a",),), {"b": 2}),
    "one that is not there": ({"b": 2}, (("a",),), {"b": 2}),
    "one of a list": ({"a": [1, 2, 3]}, (("a", 1),), {"a": [1, 3]}),
    "two of a list": ({"a": [1, 2, 3]}, (("a", 0), ("a", 2)), {"a": [2]}),
    "all of a list": ({"a": [1], "b": 2}, (("a", 0),), {"b": 2}),
    "what is left empty": ({"a": [{"c": 1}], "b": 2}, (("a", 0, "c"),), {"b": 2}),
    "through lists": (
        {"a": [{"c": 1, "d": 2}, {"c": 3, "d": 4}]},
        (("a", "c"),),
        {"a": [{"d": 2}, {"d": 4}]},
    ),
    "of an odd shape": ({"a": "x", "b": 2}, (("a", "c"),), {"b": 2}),
    "what was empty before stays": ({"a": {}, "b": [{}]}, (("c",),), {"a": {}, "b": [{}]}),
}


@pytest.mark.parametrize("row", LEFT)
def test_what_is_left(row: str) -> None:
    node, places, left = LEFT[row]
    assert without(node, places) == left


def _coded(*codes: str) -> list[Any]:
    return [{"code": {"coding": [{"system": "urn:s", "code": code}]}} for code in codes]


EXCLUDED = [
    ("component-code:not=urn:s|a", _coded("a"), True),
    ("component-code:not=urn:s|a", _coded("b", "a"), True),
    ("component-code:not=urn:s|a,urn:s|b", _coded("b"), True),
    ("component-code:not=urn:s|a", _coded("b"), False),
    ("component-code:not=urn:s|a", [], False),
    ("component-code:not=urn:s|a", [{"code": {"text": "nobody can tell"}}], False),
    ("component-code:not=urn:s|b&component-code:not=urn:s|a", _coded("a"), True),
]


@pytest.mark.parametrize(("query", "components", "expected"), EXCLUDED)
def test_what_a_term_leaves_out(query: str, components: list[Any], expected: bool) -> None:
    terms = excluding(request(f"Observation?{query}"))
    record = {"resourceType": "Observation", **({"component": components} if components else {})}
    assert is_excluded(terms, R4, record, BASES.both) is expected
