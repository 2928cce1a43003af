"""Which labels may be told to whoever receives a record."""

from __future__ import annotations

import pytest

from gateway.core.consent.egress import EGRESS, PART_2, REDISCLOSURE
from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, HANDLING
from gateway.core.fhir.security import INLINE, REDACTED
from gateway.core.values import Label

OLD = "http://hl7.org/fhir/v3/Confidentiality"


def labels(text: str) -> frozenset[Label]:
    return frozenset(Label(CONFIDENTIALITY if len(code) == 1 else ACT_CODE, code) for code in text.split())


@pytest.mark.parametrize(
    ("text", "level"),
    [("", "N"), ("U", "U"), ("N R", "R"), ("HIV", "R"), ("V HIV", "V"), ("NORDSCLCD", "N"), ("X", "V")],
)
def test_the_level_is_the_highest_that_is_told(text: str, level: str) -> None:
    assert EGRESS.level(labels(text)) == Label(CONFIDENTIALITY, level)


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("", True),
        ("N", True),
        ("R", True),
        ("R NORDSCLCD", True),
        ("NORDSCLCD", True),
        ("N R", False),
        ("HIV", False),
        ("R HIV", False),
        ("R 42CFRPart2", False),
        ("R PROCESSINLINELABEL", False),
        ("R NEVERHEARD", False),
    ],
)
def test_what_may_leave_as_it_is(text: str, harmless: bool) -> None:
    assert EGRESS.harmless(labels(text)) == harmless


def test_handling_stays_and_nothing_else() -> None:
    assert all(map(EGRESS.stays, HANDLING))
    assert EGRESS.stays(REDACTED)
    assert EGRESS.stays(INLINE), "where the reader may know what is labelled"
    for label in (Label(ACT_CODE, "HIV"), Label(CONFIDENTIALITY, "R"), Label("", "NORDSCLCD"), Label("", "")):
        assert not EGRESS.stays(label)


def test_levels_in_any_spelling() -> None:
    assert EGRESS.level_of(Label(OLD, "R")) == Label(CONFIDENTIALITY, "R")
    assert EGRESS.level_of(Label(ACT_CODE, "R")) is None
    assert EGRESS.level_of(Label("", "R")) is None


def test_what_the_receiver_of_records_under_part_2_is_told() -> None:
    assert EGRESS.obligations([PART_2]) == REDISCLOSURE
    assert EGRESS.obligations([Label(ACT_CODE, "SUD")]) == ()
