"""Dates of a study: moved whole, or the year alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.studies.dates import is_time, moved, year_of

DATES: dict[str, tuple[str, str | None, str | None]] = {
    "a day": ("2020-03-10", "2020-02-29", "2020"),
    "over a year's end": ("2020-01-01", "2019-12-22", "2020"),
    "an instant": ("2020-03-10T08:30:00.125Z", "2020-02-29T08:30:00.125Z", "2020"),
    "without a zone": ("2020-03-10T08:30:00", "2020-02-29T08:30:00Z", "2020"),
    "summer time": ("2020-07-10T08:30:00+02:00", "2020-06-30T08:30:00Z", "2020"),
    "winter time": ("2020-12-10T08:30:00+01:00", "2020-11-30T08:30:00Z", "2020"),
    "west of the day line": ("2019-12-31T23:30:00-11:00", "2019-12-21T23:30:00Z", "2019"),
    "without seconds": ("2020-03-10T08:30Z", "2020-02-29T08:30Z", "2020"),
    "a month": ("2020-03", None, "2020"),
    "a year": ("2020", None, "2020"),
    "no day": ("2020-02-30", None, None),
    "no month": ("2020-13", None, None),
    "no hour": ("2020-03-10T24:00:00Z", None, None),
    "a zone without a time": ("2020-03-10Z", None, None),
    "the beginning of time": ("0001-01-01", None, "0001"),
    "words": ("soon", None, None),
    "other digits": ("\uff12\uff10\uff12\uff10-03-10", None, None),
    "a line more": ("2020-03-10\n", None, None),
    "a prefix": ("ge2020-03-10", None, None),
    "nothing": ("", None, None),
}


@pytest.mark.parametrize(("text", "shifted", "year"), DATES.values(), ids=DATES)
def test_dates(text: str, shifted: str | None, year: str | None) -> None:
    assert moved(text, 10) == shifted
    assert year_of(text) == year


@pytest.mark.parametrize(
    ("text", "good"), [("08:30:00", True), ("08:30", True), ("8:30", False), ("24:00:00", False), ("", False)]
)
def test_times(text: str, good: bool) -> None:
    assert is_time(text) == good


MOMENTS = st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2100-01-01"))


@given(MOMENTS, MOMENTS, st.integers(1, 365))
def test_intervals_and_clocks_stay(one: datetime, other: datetime, days: int) -> None:
    shifted = [moved(f"{each.isoformat(timespec='microseconds')}+02:00", days) for each in (one, other)]
    left = [datetime.fromisoformat(each.removesuffix("Z")) for each in shifted if each is not None]
    assert left[0] - left[1] == one - other
    assert [each.time() for each in left] == [one.time(), other.time()]
    assert left[0].date() == one.date() - timedelta(days=days)


@given(st.dates(), st.integers(1, 365))
def test_no_day_stays(day: date, days: int) -> None:
    shifted = moved(day.isoformat(), days)
    assert shifted is None or (shifted < day.isoformat() and len(shifted) == 10)
