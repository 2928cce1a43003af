"""What a role's queries say of the token and of the day."""

from __future__ import annotations

import pytest

from gateway.core.roles.placeholders import Values, filled, values_of
from gateway.core.values import Ref, Term
from tests.core.consent.build import NOW_S
from tests.core.deciding import token

VALUES: Values = {"patient": "Patient/85", "organization": None, "today": "2026-03-01"}


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("x", "x"),
        ("{patient}", "Patient/85"),
        ("ge{today}", "ge2026-03-01"),
        ("ge{today-1d}", "ge2026-02-28"),
        ("ge{today-2y}", "ge2024-03-01"),
        ("{organization}", None),
    ],
)
def test_names_stand_for_values(value: str, meant: str | None) -> None:
    made = filled(Term("p", ("a", value)), VALUES)
    assert made == (None if meant is None else Term("p", ("a", meant)))


@pytest.mark.parametrize(
    "value", ["{me}", "{today-2m}", "{today-0d}", "{today+1d}", "{}", "{", "a}", "{{patient}"]
)
def test_names_that_there_are_not(value: str) -> None:
    with pytest.raises(ValueError, match=r"there is no|stands alone"):
        filled(Term("p", (value,)), VALUES)


def test_values_of_a_token() -> None:
    day = values_of(token(), NOW_S)["today"]
    assert day is not None
    assert len(day) == 10
    made = values_of(token(patient=None, organization=Ref("Organization", "lab")), NOW_S)
    assert made == {"patient": None, "organization": "Organization/lab", "today": day}
    assert values_of(token(), NOW_S)["patient"] == "Patient/85"
