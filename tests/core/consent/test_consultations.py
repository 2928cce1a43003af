"""When a consultation may be worked on: from a quarter of an hour before it until its grace is over."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from gateway.core.consent.cases import window
from gateway.core.consent.rule import Period
from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.literals import parse_date
from gateway.mapping import load_catalogue
from tests.core.consent.test_cases import record


@functools.cache
def second(text: str) -> int:
    return int(parse_date(text)[1].low.timestamp())


@pytest.mark.parametrize(
    ("release", "tree", "opens", "closes"),
    [
        (
            "R4",
            record("Appointment/1", start="2026-05-10T10:00:00Z", end="2026-05-10T10:30:00Z"),
            "2026-05-10T09:45:00Z",
            "2026-05-11T10:30:01Z",
        ),
        (
            "R4",
            record("Appointment/1", start="2026-05-10T10:00:00+02:00", end="2026-05-10T10:30:00+02:00"),
            "2026-05-10T07:45:00Z",
            "2026-05-11T08:30:01Z",
        ),
        (
            "R4",
            record("Encounter/5", period={"start": "2026-05-10", "end": "2026-05-17"}),
            "2026-05-09T23:45:00Z",
            "2026-05-19T00:00:00Z",
        ),
        # It goes on: each day it has to be looked at anew.
        (
            "R4",
            record("Encounter/5", period={"start": "2026-05-10T10:00:00Z"}),
            "2026-05-10T09:45:00Z",
            "2026-05-11T10:00:00Z",
        ),
        (
            "R5",
            record("Encounter/5", actualPeriod={"start": "2026-05-10T10:00:00Z"}),
            "2026-05-10T09:45:00Z",
            "2026-05-11T10:00:00Z",
        ),
    ],
)
def test_a_window(release: Release, tree: dict[str, Any], opens: str, closes: str) -> None:
    assert window(tree, load_catalogue(release)) == Period(second(opens), second(closes))
    assert window(tree, load_catalogue(release), grace_s=0) == Period(second(opens), second(closes) - 86_400)


@pytest.mark.parametrize(
    "tree",
    [
        record("Appointment/1"),
        record("Appointment/1", start="soon", end="2026-05-10T10:30:00Z"),
        record("Appointment/1", start="2026-05-10T10:00:00Z", end="later"),
        record("Appointment/1", end="2026-05-10T10:30:00Z"),
        record("Encounter/5", period={"end": "2026-05-10"}),
        record("Encounter/5", period={"start": "2026-05-10", "end": "2026-05-09"}),
        record("Patient/pat-a"),
    ],
    ids=str,
)
def test_without_its_times_a_consultation_is_never_open(tree: dict[str, Any]) -> None:
    assert window(tree, load_catalogue("R4")) is None
