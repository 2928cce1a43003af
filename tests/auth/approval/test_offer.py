"""The boxes for what an app asks for, and what the ticked ones come to."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import mapping
from gateway.auth.approval.offer import Offer, choose, offer
from gateway.auth.approval.words import load_words
from gateway.core.fhir import match
from gateway.core.smart.algebra import contains_all
from gateway.core.smart.client import Client
from gateway.core.smart.grant import Served, narrow_request
from gateway.errors import OAuthError

CATALOGUE = mapping.load_catalogue("R4")
SCOPES = (
    "openid",
    "fhirUser",
    "launch/patient",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "user/*.cruds",
)
SERVED = Served(CATALOGUE.types, lambda kind, term: match.evaluable(CATALOGUE, kind, term), SCOPES)
CLIENT = Client(
    "app",
    "App",
    "none",
    redirect_uris=("https://app.example/cb",),
    grant_types=("authorization_code", "refresh_token"),
    scopes=SCOPES,
)
HL7 = "http://terminology.hl7.org/CodeSystem"
LAB = f"category={HL7}/observation-category|laboratory"
VITAL = f"category={HL7}/observation-category|vital-signs"
CONCERN = "category=http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern"


def offered(asked: str) -> Offer:
    return offer(narrow_request(asked, CLIENT, SERVED), load_words(), CATALOGUE.types)


def granted(asked: str, ticked: frozenset[str]) -> str:
    choice = choose(offered(asked), ticked)
    return narrow_request(choice.asked, CLIENT, SERVED, choice.chosen).text


def without(asked: str, off: str) -> str:
    """What is granted when the boxes whose names match are not ticked."""
    keys = offered(asked).keys
    gone = {key for key in keys if re.fullmatch(off, key)}
    assert gone, sorted(keys)
    return granted(asked, keys - gone)


@pytest.mark.parametrize(
    "asked",
    [
        "patient/*.rs",
        "patient/*.read",
        "patient/*.cruds",
        "user/*.rs patient/Patient.rs",
        "patient/Patient.rs patient/*.rs",
        "patient/Condition.rs patient/Observation.rs patient/Patient.rs",
        f"patient/Observation.rs?{LAB}",
        f"patient/Observation.rs?{LAB.replace('|', '%7C')}",
        f"patient/Observation.rs?{LAB} patient/Observation.rs?{VITAL} patient/Patient.read",
        "patient/Observation.rs?category=laboratory",
        "patient/Observation.rs?code=http://loinc.org|2708-6&status=final",
        "patient/Binary.rs patient/Group.r",
        "launch/patient openid fhirUser offline_access patient/Patient.rs",
        "openid",
    ],
)
def test_with_everything_ticked_it_is_what_was_asked_letter_for_letter(asked: str) -> None:
    assert granted(asked, offered(asked).keys) == asked


NARROWED = {
    "one type of three": (
        "patient/Condition.rs patient/Observation.rs patient/Patient.rs", "t[.]Condition",
        "patient/Observation.rs patient/Patient.rs",
    ),
    "categories by hand": (
        "patient/Condition.rs patient/Observation.rs patient/Patient.rs",
        "p[.](Condition[.](?!health).*|Observation[.](?!lab|vital).*)",
        f"patient/Condition.rs?{CONCERN} patient/Observation.rs?{LAB} patient/Observation.rs?{VITAL} "
        "patient/Patient.rs",
    ),
    "all but the others": (
        "patient/Condition.read", "p[.]Condition[.]rest",
        f"patient/Condition.rs?category={HL7}/condition-category|problem-list-item "
        f"patient/Condition.rs?category={HL7}/condition-category|encounter-diagnosis "
        f"patient/Condition.rs?{CONCERN}",
    ),
    "a limited app": (
        "patient/*.rs", "later|t[.](?!(Patient|Condition|Observation)$).*",
        "patient/Patient.rs patient/Condition.rs patient/Observation.rs",
    ),
    "a limited app that asked for one by name": (
        "patient/*.rs patient/Patient.rs", "later|t[.](?!(Patient|Goal)$).*",
        "patient/Patient.rs patient/Goal.rs",
    ),
    "a limited and granular app": (
        "patient/*.rs", "later|t[.](?!Observation$).*|p[.]Observation[.](?!lab).*",
        f"patient/Observation.rs?{LAB}",
    ),
    "v1 at both levels": (
        "patient/*.read user/*.read", "later|t[.](?!Patient$).*", "patient/Patient.rs user/Patient.rs",
    ),
    "one of its own parts": (
        f"patient/Observation.rs?{LAB} patient/Observation.rs?{VITAL}", "p[.]Observation[.]lab.*",
        f"patient/Observation.rs?{VITAL}",
    ),
    "one of its own parts that has no name": (
        f"patient/Observation.rs?status=final patient/Observation.rs?{VITAL}", "p[.]Observation[.][0-9]+",
        f"patient/Observation.rs?{VITAL}",
    ),
    "no changes": ("patient/Patient.cruds patient/Goal.u", "write", "patient/Patient.rs"),
    "changes of one": ("patient/Patient.cruds patient/Goal.cu", "t[.]Patient", "patient/Goal.cu"),
    "not without the person": (
        "launch/patient offline_access patient/Patient.rs", "stay", "launch/patient patient/Patient.rs",
    ),
    "not while logged in": ("online_access patient/Patient.rs", "stay", "patient/Patient.rs"),
    "nothing but who it is": ("openid patient/Patient.rs", "t[.]Patient", "openid"),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "off", "left"), NARROWED.values(), ids=NARROWED.keys())
def test_what_is_not_ticked_is_not_granted(asked: str, off: str, left: str) -> None:
    assert without(asked, off) == left


def test_a_wildcard_without_what_comes_later_is_every_kind_that_is_listed() -> None:
    scopes = without("patient/*.rs", "later").split(" ")
    assert "patient/*.rs" not in scopes
    assert "patient/Patient.rs" in scopes
    assert len(scopes) == len(offered("patient/*.rs").rows)


def test_a_wildcard_with_one_kind_unticked_covers_nothing_that_comes_later() -> None:
    scopes = without("patient/*.rs", "t[.]Goal").split(" ")
    assert {"patient/*.rs", "patient/Goal.rs"}.isdisjoint(scopes)
    assert "patient/CarePlan.rs" in scopes


def test_the_kinds_have_boxes_in_an_order_of_use() -> None:
    rows = offered("patient/*.rs").rows
    assert [row.type for row in rows[:3]] == ["Patient", "Condition", "Observation"]
    groups = [row.words.group for row in rows]
    assert groups == sorted(groups, key=["usual", "more", "about"].index)


def test_the_us_core_categories_are_offered() -> None:
    rows = offered("patient/*.rs").rows
    parts = {row.type: [part.key.rpartition(".")[2] for part in row.parts] for row in rows}
    assert set(parts["Condition"]) == {"problem-list-item", "encounter-diagnosis", "health-concern", "rest"}
    assert set(parts["Observation"]) == {
        "laboratory", "vital-signs", "social-history", "survey", "sdoh", "procedure", "rest",
    }  # fmt: skip
    assert {kind for kind, found in parts.items() if found} == {"Condition", "Observation"}


def test_parts_that_an_app_names_have_its_words() -> None:
    [row] = offered(f"patient/Observation.rs?{LAB} patient/Observation.rs?status=final").rows
    assert [part.name for part in row.parts] == ["Laboratory", "Only where status is final"]
    assert not row.whole


@pytest.mark.parametrize(
    ("asked", "reads", "writes"),
    [
        ("patient/Patient.rs", True, False),
        ("patient/Patient.cud", False, True),
        ("patient/Patient.cruds", True, True),
    ],
)
def test_reading_is_told_from_changing(asked: str, reads: bool, writes: bool) -> None:
    [row] = offered(asked).rows
    assert (row.reads, row.writes, offered(asked).writes) == (reads, writes, writes)


ASKED = (
    "patient/*.rs",
    "user/*.cruds patient/Condition.read",
    "patient/Condition.rs patient/Observation.cruds patient/Patient.rs offline_access",
    f"patient/Observation.rs?{LAB} patient/Observation.rs?{VITAL} patient/Observation.r?status=final",
    f"patient/*.rs?_lastUpdated=gt2024-01-01 patient/Observation.rs?{LAB}",
)
OFFERS = {asked: offered(asked) for asked in ASKED}


@given(st.sampled_from(ASKED), st.data())
def test_whatever_is_ticked_it_is_within_what_was_asked_and_ticked(asked: str, data: st.DataObject) -> None:
    its = OFFERS[asked]
    ticked = data.draw(st.frozensets(st.sampled_from(sorted(its.keys))))
    choice = choose(its, ticked)
    held, chosen = SERVED.read(asked).resources, SERVED.read(choice.chosen)
    assert not chosen.dropped
    off = {row.type for row in its.rows if row.key not in ticked}
    try:
        left = narrow_request(choice.asked, CLIENT, SERVED, choice.chosen)
    except OAuthError:
        return  # nothing is left
    assert all(contains_all(held, scope) for scope in left.scopes)
    assert off.isdisjoint(scope.type for scope in left.scopes)
    assert not off or all(scope.type != "*" for scope in left.scopes)
    assert "stay" in ticked or not left.refreshable
