"""Whether a search looks at what was taken out of a record."""

from __future__ import annotations

import pytest

from gateway.core.fhir.scan import Place
from gateway.core.labels.asked import looks_at
from gateway.mapping import load_catalogue
from tests.core.deciding import request

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
