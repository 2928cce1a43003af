from __future__ import annotations

import pytest

from gateway.core.consent.inside import Once, every, inside_of, some
from gateway.core.consent.rule import RESOURCE_TYPES, DataRef, Match, Period
from gateway.core.values import Label, Ref, Term
from tests.core.consent.build import Told

YEAR = Period(0, 9)
CODE = Label("http://loinc.org", "1-1")
OBSERVATION, PROFILE = Label(RESOURCE_TYPES, "Observation"), Label("urn:ietf:rfc:3986", "p")


@pytest.mark.parametrize(
    ("values", "all_hold", "one_holds"),
    [
        ([], True, False),
        ([True], True, True),
        ([None], None, None),
        ([True, None], None, True),
        ([None, False], False, None),
        ([True, False, None], False, True),
        ([False, False], False, False),
    ],
)
def test_three_values(values: list[bool | None], all_hold: bool | None, one_holds: bool | None) -> None:
    assert every(values) is all_hold
    assert some(values) is one_holds


def test_a_rule_that_looks_for_nothing_looks_nowhere() -> None:
    assert inside_of(Match(labels=frozenset({"HIV"}), opaque=True)) is None


@pytest.mark.parametrize(
    ("match", "told", "permits", "denies"),
    [
        (Match(codes=frozenset({CODE})), Told(codes={"1-1": True}, primary={"1-1": False}), False, True),
        (Match(codes=frozenset({CODE})), Told(codes={"1-1": True}, primary={"1-1": True}), True, True),
        (Match(codes=frozenset({CODE})), Told(codes={"2-2": True}), None, None),
        (Match(data_period=YEAR), Told(inside={YEAR: False}, overlaps={YEAR: True}), False, True),
        (Match(data_period=YEAR), Told(inside={YEAR: True}, overlaps={YEAR: False}), True, False),
        (Match(data_period=YEAR), Told(), None, None),
        (Match(classes=frozenset({OBSERVATION})), Told(), True, True),
        (Match(classes=frozenset({Label(RESOURCE_TYPES, "Condition")})), Told(), False, False),
        (Match(classes=frozenset({PROFILE})), Told(classes={"p": False}), False, False),
        (Match(classes=frozenset({PROFILE, OBSERVATION})), Told(classes={"p": False}), True, True),
        (Match(classes=frozenset({OBSERVATION}), data_period=YEAR), Told(inside={YEAR: False}), False, None),
    ],
)  # fmt: skip
def test_permits_and_denies_ask_differently(
    match: Match, told: Told, permits: bool | None, denies: bool | None
) -> None:
    inside = inside_of(match)
    assert inside is not None
    assert inside.tells("Observation", told, denies=False) is permits
    assert inside.tells("Observation", told, denies=True) is denies


@pytest.mark.parametrize(
    ("match", "kind", "may", "alone"),
    [
        (Match(classes=frozenset({OBSERVATION})), "Observation", True, True),
        (Match(classes=frozenset({OBSERVATION})), "Condition", False, True),
        (Match(classes=frozenset({OBSERVATION, PROFILE})), "Condition", True, False),
        (Match(classes=frozenset({OBSERVATION}), data_period=YEAR), "Observation", True, False),
        (Match(codes=frozenset({CODE})), "Condition", True, False),
    ],
)
def test_what_can_be_said_of_a_type(match: Match, kind: str, may: bool, alone: bool) -> None:
    inside = inside_of(match)
    assert inside is not None
    assert (inside.may_tell(kind), inside.by_type_alone) == (may, alone)


class Counting(Told):
    """Content that must be asked each question once."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "asked", [])

    def __getattribute__(self, name: str) -> object:
        if name in ("holds", "has_code", "is_class", "within", "touches", "relates"):
            object.__getattribute__(self, "asked").append(name)
        return super().__getattribute__(name)


def test_each_question_is_put_once() -> None:
    content = Counting()
    once = Once(content)
    assert not once.asked
    for _ in range(2):
        once.holds(Term("code", ("1",)))
        once.has_code(CODE, primary=True)
        once.has_code(CODE, primary=False)
        once.is_class(PROFILE)
        once.within(YEAR)
        once.touches(YEAR)
        once.relates(DataRef("instance", Ref("Observation", "1")))
    asked: list[str] = object.__getattribute__(content, "asked")
    assert asked == ["holds", "has_code", "has_code", "is_class", "within", "touches", "relates"]
    assert once.asked
