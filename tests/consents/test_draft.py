from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.consents.draft import Draft, instant, read_draft
from gateway.core.consent.rule import Effect, Period
from gateway.errors import BadRequest
from tests.consents.ledger import parse_scope

NOW_S = 1_780_308_000  # 2026-06-01T10:00:00Z
GOOD = Draft("pat-a", ("client:app-1",), ("patient/*.rs",), ("TREAT",), None, "2027-01-01", ("R",))

INSTANTS = [
    ("2027-01-01", False, 1798761600),
    ("2027-01-01", True, 1798847999),
    ("2027-01-01T00:00:00Z", True, 1798761600),
    ("2027-01-01T00:00:00Z", False, 1798761600),
    ("2027-01-01T02:00:00+02:00", True, 1798761600),
    ("2026-12-31T19:00:00-05:00", True, 1798761600),
    ("2027-01-01T00:00:00.9Z", True, 1798761600),
    ("2027-01-01T00:00:00.1Z", False, 1798761601),
    ("2028-02-29", True, 1835481599),
    ("1969-12-31T23:59:59.5Z", True, -1),
]


@pytest.mark.parametrize(("text", "last", "expected"), INSTANTS)
def test_instant(text: str, last: bool, expected: int) -> None:
    assert instant(text, last=last) == expected


@pytest.mark.parametrize(
    "text",
    ["2027", "2027-01", "2027-1-1", "20270101", "2027-02-29", "2027-13-01", "2027-01-01T00:00:00",
     "2027-01-01 00:00:00Z", "2027-01-01T00:00Z", "2027-01-01T24:00:00Z", "2027-01-01T00:00:60Z",
     "2027-01-01T00:00:00+0200", "2027-01-01T00:00:00z", "0000-01-01", "", "tomorrow",
     "\uff12\uff10\uff12\uff17-01-01", "2027-W01-1"],
)  # fmt: skip
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        instant(text, last=True)


def test_a_good_draft() -> None:
    made = read_draft(GOOD, "c1", parse_scope, NOW_S)
    assert (made.id, made.patient) == ("c1", "pat-a")
    assert made.root.effect is Effect.PERMIT
    assert made.root.match.actors == {"client:app-1"}
    assert made.root.match.purposes == {"TREAT"}
    assert made.root.match.labels == {"R"}
    assert [scope.text for scope in made.root.match.scopes] == ["patient/*.rs"]
    assert made.period == Period(None, 1798847999)
    assert made.refs == ()


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("a deny for everybody", {"effect": "deny", "grantees": ()}),
    ("break-glass denied", {"effect": "deny", "purposes": ("BTG",)}),
    ("any purpose", {"purposes": ()}),
    ("no end", {"until": None}),
    ("ends this second", {"until": "2026-06-01T10:00:00Z"}),
    ("begins when it ends", {"from_": "2027-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}),
    ("began long ago", {"from_": "1990-01-01"}),
    ("the first version of scopes", {"scopes": ("patient/Observation.read",)}),
    ("part of a type", {"scopes": ("patient/Observation.rs?category=laboratory",)}),
    ("a label of another system", {"labels": ("https://labels.example|private",)}),
    ("one issuer's client", {"grantees": ("client:app-1@https://idp.example",)}),
    ("several grantees", {"grantees": ("organization:org-1", "practitioner:prac-1")}),
    ("the same twice", {"grantees": ("client:app-1", "client:app-1"), "scopes": ("patient/*.rs",) * 2}),
    ("supersedes", {"supersedes": ("c0",)}),
]
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("a permit for everybody", {"grantees": ()}, "at least one grantee"),
    ("break-glass permitted", {"purposes": ("BTG",)}, "Break-glass"),
    ("another effect", {"effect": "allow"}, "'permit' or 'deny'"),
    ("a patient reference", {"patient": "Patient/pat-a"}, "FHIR id"),
    ("no patient", {"patient": ""}, "FHIR id"),
    ("dots for a patient", {"patient": ".."}, "FHIR id"),
    ("a bare grantee", {"grantees": ("app-1",)}, "'app-1' is not KIND:ID"),
    ("an unknown kind of grantee", {"grantees": ("person:p",)}, "'person:p' is not"),
    ("a purpose in small letters", {"purposes": ("treat",)}, "'treat' is not a code"),
    ("a misspelt purpose", {"purposes": ("TREAT", "HRESEARCH")}, "'HRESEARCH' is not a code"),
    ("no scope", {"scopes": ()}, "at least one scope"),
    ("an unknown type", {"scopes": ("patient/Obs.rs",)}, "'patient/Obs.rs' cannot be used: the resource"),
    ("operations out of order", {"scopes": ("patient/*.sr",)}, "cannot be used"),
    ("another level", {"scopes": ("user/*.rs",)}, "level is patient"),
    ("two scopes in one", {"scopes": ("patient/*.r patient/*.s",)}, "not one resource scope"),
    ("a launch scope", {"scopes": ("launch/patient",)}, "not one resource scope"),
    ("an empty scope", {"scopes": ("",)}, "not one resource scope"),
    ("a scope in white space", {"scopes": (" patient/*.rs",)}, "not one resource scope"),
    ("a constraint nobody can check", {"scopes": ("patient/Observation.rs?foo=1",)}, "cannot be enforced"),
    ("a month for an end", {"until": "2027-01"}, "end is a date such as"),
    ("no offset", {"from_": "2027-01-01T00:00:00"}, "begin is a date such as"),
    ("ends before it begins", {"from_": "2027-01-02", "until": "2027-01-01"}, "before it begins"),
    ("ended a second ago", {"until": "2026-06-01T09:59:59Z"}, "in the past"),
    ("ended yesterday", {"until": "2026-05-31"}, "in the past"),
    ("a label in small letters", {"labels": ("hiv",)}, "'hiv' is neither"),
    ("an unknown label", {"labels": ("NEVERHEARD",)}, "'NEVERHEARD' is neither"),
    ("supersedes itself", {"supersedes": ("c1",)}, "named by their ids"),
    ("supersedes no id", {"supersedes": ("c 0",)}, "named by their ids"),
]


@pytest.mark.parametrize("change", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_accepted(change: dict[str, Any]) -> None:
    read_draft(replace(GOOD, **change), "c1", parse_scope, NOW_S)


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_draft(replace(GOOD, **change), "c1", parse_scope, NOW_S)
    assert text in caught.value.text
