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
from tests.core.consent.test_cases import record as any_record

PLANNED = {"Appointment": {"status": "booked"}, "Encounter": {"status": "planned"}}


def record(ref: str, **elements: Any) -> dict[str, Any]:
    return any_record(ref, **{**PLANNED.get(ref.partition("/")[0], {}), **elements})


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


AT_TEN: dict[str, dict[str, Any]] = {
    "Appointment": {"start": "2026-05-10T10:00:00Z", "end": "2026-05-10T10:30:00Z"},
    "Encounter": {name: {"start": "2026-05-10T10:00:00Z"} for name in ("period", "actualPeriod")},
}
TAKES_PLACE = {
    ("R4", "Appointment"): "booked arrived checked-in fulfilled",
    ("R5", "Appointment"): "booked arrived checked-in fulfilled",
    ("R4", "Encounter"): "planned arrived triaged in-progress onleave finished",
    ("R4B", "Encounter"): "planned arrived triaged in-progress onleave finished",
    ("R5", "Encounter"): "planned in-progress on-hold discharged completed discontinued",
}
DOES_NOT = [
    *("proposed", "pending", "cancelled", "noshow", "waitlist", "entered-in-error", "unknown"),
    *("BOOKED", "Planned"),
]


@pytest.mark.parametrize(("release", "kind"), TAKES_PLACE)
def test_what_does_not_take_place_is_never_open(release: Release, kind: str) -> None:
    catalogue, takes = load_catalogue(release), TAKES_PLACE[release, kind].split()
    for status in takes:
        assert window(record(f"{kind}/1", **AT_TEN[kind], status=status), catalogue) is not None, status
    never: list[Any] = [*DOES_NOT, None, ["booked"], {"value": "booked"}]
    for odd in never:
        assert window(record(f"{kind}/1", **AT_TEN[kind], status=odd), catalogue) is None, odd
    without = record(f"{kind}/1", **AT_TEN[kind])
    del without["status"]
    assert window(without, catalogue) is None


@pytest.mark.parametrize(
    ("people", "opens"),
    [
        ([{"actor": {"reference": "Patient/85"}, "status": "accepted"}], True),
        ([{"actor": {"reference": "Patient/85"}, "status": "needs-action"}], True),
        ([{"actor": {"reference": "Patient/85"}, "status": "declined"}], False),
        ([{"actor": {"reference": "https://h.example/fhir/Patient/85"}, "status": "declined"}], False),
        ([{"actor": {"reference": "Practitioner/1"}, "status": "declined"}], True),
        ([{"actor": {"display": "somebody"}, "status": "declined"}], False),
        ([{"status": "declined"}], False),
        ([{"actor": {"reference": "Practitioner/1"}, "status": "accepted"}, None], False),
        ({"actor": {"reference": "Patient/85"}, "status": "accepted"}, False),
    ],
    ids=str,
)
def test_a_patient_who_declined_is_not_seen(people: Any, opens: bool) -> None:
    tree = record("Appointment/1", **AT_TEN["Appointment"], participant=people)
    assert (window(tree, load_catalogue("R4")) is not None) is opens
