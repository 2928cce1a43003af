"""When a record was: inside a period or touching it, with a near miss for each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.dates import touches, within
from gateway.core.fhir.literals import END, START, Interval, parse_date
from gateway.mapping import load_catalogue
from tests.core.fhir.matching import TREES

R4 = load_catalogue("R4")


def limit(low: str | None, high: str | None) -> Interval:
    """From the first instant of `low` to the last of `high`."""
    return Interval(
        START if low is None else parse_date(low)[1].low, END if high is None else parse_date(high)[1].high
    )


def answers(record: dict[str, Any], low: str | None, high: str | None, release: Release = "R4") -> str:
    """Whether the record is within, and touches: `+` yes, `-` no, `?` not told."""
    row, period = load_catalogue(release).content(record["resourceType"]), limit(low, high)
    found = (within(record, row, period), touches(record, row, period))
    return "".join("?" if answer is None else "-+"[answer] for answer in found)


def observation(effective: object, kind: str = "DateTime", **more: object) -> dict[str, Any]:
    return {"resourceType": "Observation", f"effective{kind}": effective, **more}


@pytest.mark.parametrize(
    ("effective", "low", "high", "expected"),
    [
        # A partial date is the whole of what it names.
        ("2022", "2022", "2022", "++"),
        ("2022", "2022-01-02", "2022", "-+"),
        ("2022", "2022", "2022-12-30", "-+"),
        ("2022", "2023", "2023", "--"),
        ("2022", None, "2021", "--"),
        ("2022-02", "2022-02-01", "2022-02-28", "++"),
        ("2024-02", "2024-02-01", "2024-02-28", "-+"),
        ("2022-12-31", "2022", "2022", "++"),
        ("2023-01-01", "2022", "2022", "--"),
        ("2022-01-01", "2022-01-01T00:00:00Z", "2022-01-01T23:59:59Z", "++"),
        ("2022-01-01", "2022-01-01T00:00:01Z", "2022-01-01T23:59:59Z", "-+"),
        ("2022-01-01T10:00Z", "2022-01-01T10:00:00Z", "2022-01-01T10:00:59Z", "++"),
        ("2022-01-01T10:00Z", "2022-01-01T10:00:00Z", "2022-01-01T10:00:58Z", "-+"),
        ("2022-12-31T23:59:59.999Z", "2022", "2022", "++"),
        ("2022-12-31T23:59:60Z", "2022", "2022", "--"),
        # Zones: of the record, of the period, of both.
        ("2022-01-01T00:00:00+14:00", "2022", "2022", "--"),
        ("2022-01-01T00:00:00+14:00", "2021", "2021", "++"),
        ("2022-12-31T23:00:00-01:00", "2022", "2022", "--"),
        ("2022", "2022-01-01T00:00:00+14:00", None, "++"),
        ("2022", "2022-01-01T00:00:00-01:00", None, "-+"),
        ("2021-12-31", "2022-01-01T00:00:00+14:00", None, "-+"),
        ("2022-01-01T00:00:00+14:00", "2022-01-01T00:00:00+14:00", None, "++"),
        ("2021-12-31T23:59:59+14:00", "2022-01-01T00:00:00+14:00", None, "--"),
        # Open ends.
        ("2022", None, None, "++"),
        ("9999", "2022", None, "++"),
        ("0001", None, "2022", "++"),
        # What is no date says nothing.
        ("", "2022", "2022", "??"),
        ("last year", "2022", "2022", "??"),
        ("ge2022", "2022", "2022", "??"),
        ("2022-13", "2022", "2022", "??"),
        ("2022-01-01T10:00:00+15:00", "2022", "2022", "??"),
        (2022, "2022", "2022", "??"),
        (None, "2022", "2022", "??"),
        ({"start": "2022"}, "2022", None, "++"),
    ],
    ids=str,
)
def test_a_date(effective: object, low: str | None, high: str | None, expected: str) -> None:
    assert answers(observation(effective), low, high) == expected


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"start": "2022-01-01", "end": "2022-12-31"}, "++"),
        ({"start": "2021-12-30", "end": "2022-01-02"}, "-+"),
        ({"start": "2022-12-30", "end": "2023-01-02"}, "-+"),
        ({"start": "2021", "end": "2023"}, "-+"),
        ({"start": "2021-12-30", "end": "2021-12-31"}, "--"),
        ({"start": "2023-01-01", "end": "2023-01-02"}, "--"),
        ({"start": "2022", "end": "2022"}, "++"),
        ({"start": "2022-06-01"}, "-+"),  # it goes on
        ({"start": "2021-06-01"}, "-+"),
        ({"start": "2023-01-01"}, "--"),
        ({"end": "2022-06-01"}, "-+"),
        ({"end": "2021-12-31"}, "--"),
        ({"start": "2022-06-01", "_end": {"extension": [{"url": "masked"}]}}, "??"),
        ({"start": "2022-06-01", "end": "2022-05-01"}, "??"),  # ends before it begins
        ({"start": "2023-06-01", "end": "2021-05-01"}, "??"),
        ({"start": 2022}, "??"),
        ({}, "??"),
    ],
    ids=str,
)
def test_a_period_against_the_year_2022(period: dict[str, Any], expected: str) -> None:
    assert answers(observation(period, "Period"), "2022", "2022") == expected


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({"event": ["2022-01-01", "2022-12-31"]}, "++"),
        ({"event": ["2022-01-01", "2023-01-01"]}, "-+"),
        ({"event": ["2021-12-31", "2023-01-01"]}, "--"),  # none of them in 2022
        ({"event": ["2022-01-01", "soon"]}, "?+"),
        ({"event": ["2021-12-31", "soon"]}, "-?"),
        ({"event": []}, "??"),
        ({"repeat": {"boundsPeriod": {"start": "2022-02-01", "end": "2022-03-01"}}}, "++"),
        ({"repeat": {"boundsPeriod": {"start": "2022-02-01"}}}, "-+"),
        ({"repeat": {"frequency": 1}}, "??"),
        ({"event": ["2022-01-01"], "repeat": {"frequency": 1}}, "?+"),
        ({"event": ["2022-01-01"], "repeat": {"boundsPeriod": {"end": "2021"}}}, "-+"),
        ({"code": {"text": "daily"}}, "??"),
    ],
    ids=str,
)
def test_a_timing_against_the_year_2022(timing: dict[str, Any], expected: str) -> None:
    assert answers(observation(timing, "Timing"), "2022", "2022") == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # The first alternative that says something counts; a denial looks at all of them.
        (observation("2022-05-01", issued="2023-01-01T00:00:00Z"), "++"),
        (observation("2021-05-01", issued="2022-01-01T00:00:00Z"), "-+"),
        (observation("2021-05-01", issued="2021-06-01T00:00:00Z"), "--"),
        ({"resourceType": "Observation", "issued": "2022-01-01T00:00:00Z"}, "++"),
        ({"resourceType": "Observation", "issued": "2021-12-31T23:59:59Z"}, "--"),
        # When it was last changed is not when it was, but a denial counts it.
        (observation("2021-05-01", meta={"lastUpdated": "2022-05-01T00:00:00Z"}), "-+"),
        (observation("2021-05-01", meta={"lastUpdated": "2021-06-01T00:00:00Z"}), "--"),
        (observation("2022-05-01", meta={"lastUpdated": "2023-05-01T00:00:00Z"}), "++"),
        (observation("2021-05-01", meta={"lastUpdated": 5}), "-?"),
        ({"resourceType": "Observation", "meta": {"lastUpdated": "2021-05-01T00:00:00Z"}}, "??"),
        ({"resourceType": "Observation"}, "??"),
        # A condition lasts from its onset to its abatement.
        ({"resourceType": "Condition"}, "??"),
        ({"resourceType": "Condition", "onsetDateTime": "2022-02"}, "++"),
        ({"resourceType": "Condition", "onsetDateTime": "2022-02", "abatementDateTime": "2022-03"}, "++"),
        ({"resourceType": "Condition", "onsetDateTime": "2021-02", "abatementDateTime": "2023-03"}, "-+"),
        ({"resourceType": "Condition", "onsetDateTime": "2020-02", "abatementDateTime": "2021-03"}, "--"),
        ({"resourceType": "Condition", "abatementDateTime": "2022-03"}, "-+"),
        ({"resourceType": "Condition", "abatementDateTime": "2021-03"}, "--"),
        ({"resourceType": "Condition", "onsetAge": {"value": 4}, "recordedDate": "2022-03"}, "?+"),
        ({"resourceType": "Condition", "onsetAge": {"value": 4}, "recordedDate": "2021-03"}, "??"),
        ({"resourceType": "Condition", "onsetDateTime": "2022", "abatementString": "soon"}, "?+"),
        ({"resourceType": "Condition", "recordedDate": "2022-03"}, "++"),
        ({"resourceType": "Condition", "_onsetDateTime": {"extension": []}, "recordedDate": "2022-03"}, "?+"),
        # Lists count whole.
        ({"resourceType": "Claim", "item": [{"servicedDate": "2022-03"}, {"servicedDate": "2022-04"}]}, "++"),
        ({"resourceType": "Claim", "item": [{"servicedDate": "2022-03"}, {"servicedDate": "2023-04"}]}, "-+"),
        ({"resourceType": "DocumentReference", "date": "2022-03-01T00:00:00Z"}, "++"),
        (
            {
                "resourceType": "DocumentReference",
                "date": "2022-03-01T00:00:00Z",
                "context": {"period": {"start": "2021-01-01", "end": "2021-01-02"}},
            },
            "-+",
        ),
        ({"resourceType": "Procedure", "performedString": "as a child"}, "??"),
        ({"resourceType": "Procedure", "performedPeriod": {"start": "2022", "end": "2022"}}, "++"),
        # Types without a time, and one without a row.
        ({"resourceType": "Patient", "birthDate": "2022-01-01"}, "+-"),
        ({"resourceType": "Organization"}, "+-"),
        ({"resourceType": "Medication", "meta": {"lastUpdated": "2022-01-01T00:00:00Z"}}, "+-"),
        ({"resourceType": "BodyStructure"}, "??"),
        ({"resourceType": "Nonsense"}, "??"),
    ],
    ids=str,
)
def test_records_against_the_year_2022(record: dict[str, Any], expected: str) -> None:
    assert answers(record, "2022", "2022") == expected


@pytest.mark.parametrize(
    ("release", "record", "expected"),
    [
        ("R4", {"resourceType": "Encounter", "period": {"start": "2022", "end": "2022"}}, "++"),
        ("R5", {"resourceType": "Encounter", "period": {"start": "2022", "end": "2022"}}, "??"),
        ("R5", {"resourceType": "Encounter", "actualPeriod": {"start": "2022", "end": "2022"}}, "++"),
        ("R5", {"resourceType": "Encounter", "plannedStartDate": "2021-12-31"}, "--"),
        ("R5", {"resourceType": "Procedure", "occurrenceDateTime": "2022-05-01"}, "++"),
        ("R4", {"resourceType": "Procedure", "occurrenceDateTime": "2022-05-01"}, "??"),
        ("R4B", {"resourceType": "Procedure", "performedDateTime": "2022-05-01"}, "++"),
        ("R5", {"resourceType": "DocumentReference", "period": {"start": "2022", "end": "2022"}}, "++"),
        ("R5", {"resourceType": "MedicationAdministration", "occurenceDateTime": "2022-01-01"}, "++"),
    ],
    ids=str,
)
def test_each_release_has_its_own_elements(release: Release, record: dict[str, Any], expected: str) -> None:
    assert answers(record, "2022", "2022", release) == expected


# --- Laws ------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(min_value=START.replace(tzinfo=None), max_value=END.replace(tzinfo=None)).map(
    lambda moment: moment.replace(tzinfo=START.tzinfo, microsecond=0)
)
TEXTS = st.sampled_from(
    ["2021", "2022", "2022-02", "2022-02-28", "2022-02-28T10:00:00Z", "2022-01-01T00:00:00+14:00", "x"]
)
PERIODS = st.dictionaries(st.sampled_from(["start", "end"]), TEXTS)
RECORDS = st.builds(
    lambda row, meta: {"resourceType": "Condition", **row, "meta": {"lastUpdated": meta}},
    st.dictionaries(
        st.sampled_from(
            [
                "onsetDateTime",
                "onsetPeriod",
                "onsetAge",
                "abatementDateTime",
                "abatementPeriod",
                "recordedDate",
            ]
        ),
        TEXTS | PERIODS | TREES,
        max_size=3,
    ),
    TEXTS,
)
LIMITS = st.tuples(
    st.sampled_from([None, "2020", "2021-06", "2022", "2022-02-28"]),
    st.sampled_from([None, "2022-02-28", "2022", "2023"]),
).map(lambda ends: limit(*ends))


@given(RECORDS, LIMITS)
def test_what_is_within_touches(record: dict[str, Any], period: Interval) -> None:
    row = R4.content("Condition")
    if within(record, row, period):
        assert touches(record, row, period)


@given(RECORDS, LIMITS, LIMITS)
def test_a_narrower_period_holds_and_touches_no_more(
    record: dict[str, Any], one: Interval, other: Interval
) -> None:
    narrow = Interval(max(one.low, other.low), min(one.high, other.high))
    assume(narrow.low < narrow.high)
    row = R4.content("Condition")
    assert not within(record, row, narrow) or within(record, row, one)
    assert not touches(record, row, narrow) or touches(record, row, one)


@given(st.builds(lambda value: observation(value), TREES), LIMITS)
def test_nothing_raises(record: dict[str, Any], period: Interval) -> None:
    row = R4.content("Observation")
    assert within(record, row, period) in (True, False, None)
    assert touches(record, row, period) in (True, False, None)
