"""What a study may ask: the table, and requests on both sides of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.fhir import match
from gateway.core.fhir.catalogue import VERSIONS
from gateway.core.studies.asking import PARAMETERS, refusal
from gateway.core.studies.elements import ELEMENTS
from gateway.core.values import ConsentRef, Term
from gateway.mapping import load_catalogue
from tests.core.deciding import request, token

ROWS = [(kind, name) for kind, names in PARAMETERS.items() for name in sorted(names)]
SAMPLES = {"token": "http://loinc.org|8480-6", "quantity": "7.1"}


def test_every_type_that_leaves_can_be_searched() -> None:
    assert PARAMETERS.keys() == ELEMENTS.keys()


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_parameters_look_at_codes_and_quantities_that_can_be_made(kind: str, name: str) -> None:
    for release in VERSIONS:
        catalogue = load_catalogue(release)
        param = catalogue.param(kind, name)
        if param is None:
            continue  # it came in a later release
        assert match.evaluable(catalogue, kind, Term(name, (SAMPLES[param.type],)))
        assert {path.steps[0].name for path in param.paths} & ELEMENTS[kind].keys()


ASKED: dict[str, tuple[str, bool]] = {
    "all": ("Observation", True),
    "by code": ("Observation?code=http://loinc.org|8480-6", True),
    "by code and status": ("Observation?code=8480-6&status=final", True),
    "but for a status": ("Observation?status:not=final", True),
    "by value": ("Observation?value-quantity=gt7.1", True),
    "so many": ("Observation?_count=5&_elements=code&_total=none", True),
    "a parameter of another type": ("Procedure?code=1&status=completed", True),
    "one that this type has not among them": ("Condition?onset-age=52", False),
    "by id": ("Observation?_id=x", False),
    "by date": ("Observation?date=2020", False),
    "by its last change": ("Observation?_lastUpdated=gt2020-01-01", False),
    "by patient": ("Observation?patient=Patient/85", False),
    "by subject": ("Observation?subject=Patient/85", False),
    "in a compartment": ("Patient/85/Observation", False),
    "by text": ("Observation?value-string=x", False),
    "by a text exactly": ("Observation?value-string:exact=x", False),
    "sorted": ("Observation?_sort=code", False),
    "one record": ("Observation/x", False),
    "one version": ("Observation/x/_history/1", False),
    "a confirmation": ("MedicationRequest/x/$confirm", False),
}


@pytest.mark.parametrize("row", ASKED)
def test_requests(row: str) -> None:
    target, asked = ASKED[row]
    who = token("system/*.rs", None)
    assert (refusal(request(target), who.scopes, who) is None) == asked


TOKENS: dict[str, tuple[dict[str, Any], bool]] = {
    "for nobody in particular": ({}, True),
    "for a patient": ({"patient": "85"}, False),
    "for a consent": ({"consents": (ConsentRef("c-1", 1, "A" * 43),)}, False),
    "for no consent at all": ({"consents": ()}, False),
}


@pytest.mark.parametrize("row", TOKENS)
def test_tokens(row: str) -> None:
    more, asked = TOKENS[row]
    who = replace(token("system/*.rs", None), **more)
    assert (refusal(request("Observation"), who.scopes, who) is None) == asked


@pytest.mark.parametrize(
    ("scopes", "asked"),
    [
        ("system/Observation.rs?category=vital-signs", True),
        ("system/Observation.rs?date=2020-03-10", False),
        ("system/Observation.rs?category=vital-signs system/Observation.rs?_id=x", False),
        ("user/Observation.rs?performer=Practitioner/x", False),
    ],
)
def test_scopes(scopes: str, asked: bool) -> None:
    who = token(scopes, None)
    assert (refusal(request("Observation"), who.scopes, who) is None) == asked
