"""A prescription confirmed: each answer, and what comes near it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.confirm import Confirmation, confirm, is_valid
from tests.core.consent.build import NOW_S
from tests.core.fhir.matching import TREES

VALID: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rx",
    "status": "active",
    "intent": "order",
}
MASKED = {"extension": [{"url": "u"}]}


def dispensed(*statuses: str | None) -> list[dict[str, Any]]:
    return [{"resourceType": "MedicationDispense"} | ({"status": s} if s else {}) for s in statuses]


def validity(**period: str) -> dict[str, Any]:
    return {"dispenseRequest": {"validityPeriod": period}}


@pytest.mark.parametrize(
    ("more", "valid"),
    [
        ({}, True),
        ({"intent": "original-order"}, True),
        ({"doNotPerform": False}, True),
        (validity(start="2026-05-01", end="2026-06-01"), True),
        (validity(start="2026-06-01T10:00:00Z"), True),
        (validity(end="2026-06-01T10:00:00Z"), True),
        ({"status": "completed"}, False),
        ({"status": "Active"}, False),
        ({"status": None}, False),
        ({"intent": "plan"}, False),
        ({"intent": None}, False),
        ({"doNotPerform": True}, False),
        ({"_doNotPerform": MASKED}, False),
        ({"modifierExtension": [{"url": "urn:not"}]}, False),
        ({"dispenseRequest": {"modifierExtension": [{"url": "urn:not"}]}}, False),
        ({"dispenseRequest": []}, False),
        (validity(start="2026-06-01T10:00:01Z"), False),
        (validity(end="2026-05-31"), False),
        (validity(end="soon"), False),
        (validity(), False),
    ],
    ids=str,
)
def test_valid(more: dict[str, Any], valid: bool) -> None:
    assert is_valid(VALID | more, NOW_S) is valid


@pytest.mark.parametrize(
    ("repeats", "dispenses", "remaining"),
    [
        (None, [], 1),
        (None, ["completed"], 0),
        (2, [], 3),
        (2, ["completed"], 2),
        (2, ["completed", "in-progress", "preparation"], 0),
        (2, ["completed"] * 4, 0),
        (2, ["cancelled", "declined", "entered-in-error"], 3),
        (2, ["stopped", "unknown", None], 0),
        ("2", [], 1),
        (True, [], 1),
        (-1, [], 1),
    ],
)
def test_remaining(repeats: object, dispenses: list[str | None], remaining: int) -> None:
    request = {} if repeats is None else {"dispenseRequest": {"numberOfRepeatsAllowed": repeats}}
    assert confirm(VALID | request, dispensed(*dispenses), "none", NOW_S).remaining == remaining


def test_nothing_remains_of_what_is_not_valid_or_not_known() -> None:
    repeats = {"dispenseRequest": {"numberOfRepeatsAllowed": 5}}
    assert confirm(VALID | repeats, None, "none", NOW_S).remaining == 0
    stopped = confirm(VALID | repeats | {"status": "stopped"}, [], "none", NOW_S)
    assert stopped == Confirmation(False, 0, False, "none")


@pytest.mark.parametrize(
    ("substitution", "allowed"),
    [
        ({}, True),  # "If nothing is specified substitution may be done"
        ({"substitution": {"allowedBoolean": True}}, True),
        ({"substitution": {"allowedCodeableConcept": {"coding": [{"system": "s", "code": "G"}]}}}, True),
        ({"substitution": {"allowedBoolean": False}}, False),
        ({"substitution": {"allowedCodeableConcept": {"coding": [{"system": "s", "code": "N"}]}}}, False),
        ({"substitution": {"allowedCodeableConcept": {"text": "no"}}}, False),
        ({"substitution": {"allowedBoolean": "true"}}, False),
        ({"substitution": {}}, False),
        ({"substitution": []}, False),
        ({"_substitution": MASKED}, False),
        ({"substitution": {"modifierExtension": [{"url": "u"}], "allowedBoolean": True}}, False),
    ],
    ids=str,
)
def test_substitution(substitution: dict[str, Any], allowed: bool) -> None:
    assert confirm(VALID | substitution, [], "none", NOW_S).substitution_allowed is allowed


def test_the_answer_as_parameters() -> None:
    assert json.loads(Confirmation(True, 2, False, "possible").parameters()) == {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "valid", "valueBoolean": True},
            {"name": "remaining", "valueInteger": 2},
            {"name": "substitution_allowed", "valueBoolean": False},
            {"name": "interaction_alert", "valueCode": "possible"},
        ],
    }


@given(TREES, st.sampled_from(["status", "dispenseRequest", "substitution", "doNotPerform", "intent"]))
def test_nothing_raises(tree: object, element: str) -> None:
    answer = confirm(VALID | {element: tree}, [], "unknown", NOW_S)
    assert answer.valid or (answer.remaining, answer.substitution_allowed) == (0, False)
