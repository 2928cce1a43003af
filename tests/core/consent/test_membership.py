from __future__ import annotations

import pytest

from gateway.core.consent.membership import NOBODY, Membership
from gateway.core.consent.rule import kind_of

HOUSE = Membership(
    {"ward": "house", "house": "trust", "x": "y", "y": "x"},
    {
        "group:night": frozenset({"practitioner:ann", "organization:ward"}),
        "careteam:all": frozenset({"group:night", "practitioner:bob"}),
        "group:round": frozenset({"group:about"}),
        "group:about": frozenset({"group:round", "client:loop"}),
    },
)


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ("organization:ward", "organization:house organization:trust group:night careteam:all"),
        ("organization:house", "organization:trust"),
        ("organization:trust", ""),
        ("organization:x", "organization:y"),
        ("practitioner:ward", ""),
        ("practitioner:ann", "group:night careteam:all"),
        ("practitioner:bob", "careteam:all"),
        ("practitioner:an", ""),
        ("client:loop", "group:about group:round"),
        ("group:night", "careteam:all"),
    ],
)
def test_closed(given: str, more: str) -> None:
    assert HOUSE.closed(frozenset({given})) == {given, *more.split()}


def test_closing_again_changes_nothing() -> None:
    closed = HOUSE.closed(frozenset({"organization:ward", "client:loop"}))
    assert HOUSE.closed(closed) == closed


def test_without_settings_everybody_is_who_they_are() -> None:
    assert NOBODY.closed(frozenset({"organization:ward"})) == {"organization:ward"}
    assert NOBODY.settled(lambda _: True) == frozenset()


@pytest.mark.parametrize(
    ("known", "settled"),
    [
        ("client", ""),
        ("practitioner", ""),
        ("practitioner organization", "group:night careteam:all"),
        ("practitioner organization client", "group:night careteam:all"),
    ],
)
def test_a_group_is_settled_when_all_its_members_could_be_told(known: str, settled: str) -> None:
    kinds = known.split()
    assert HOUSE.settled(lambda one: kind_of(one) in kinds) == frozenset(settled.split())
