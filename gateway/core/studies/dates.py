"""Dates of a study: moved by whole days, or the year alone.

Nothing of a date stays by which the move could be found out: a year or month alone does not leave beside
moved days, because the two together tell where a year begins; nor does a time zone, whose change is that of
the season. The clock on the wall stays, and is written as UTC.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_DAY: Final = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)(T{_TIME})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_YEAR: Final = re.compile(r"(\d{4})(?:-(?:0[1-9]|1[0-2]))?", re.ASCII)
_CLOCK: Final = re.compile(_TIME, re.ASCII)


def moved(text: str, days: int) -> str | None:
    """A date, dateTime or instant (R4 datatypes) so many days earlier, as precise as it was; None for one
    without a day, and for what is none."""
    found = _dated(text)
    if found is None:
        return None
    day, time = found
    try:
        earlier = (day - timedelta(days=days)).isoformat()
    except OverflowError:
        return None
    return f"{earlier}{time}Z" if time else earlier


def year_of(text: str) -> str | None:
    """The year of a date, dateTime or instant, whatever its precision; None for what is none."""
    partial = _YEAR.fullmatch(text)
    if partial is not None:
        return partial[1]
    return None if _dated(text) is None else text[:4]


def is_time(text: str) -> bool:
    """Whether it is a time of the day."""
    return _CLOCK.fullmatch(text) is not None


def _dated(text: str) -> tuple[date, str] | None:
    """The day, and the time of the day as it stands, with the T."""
    found = _DAY.fullmatch(text)
    if found is None or (found[5] and not found[4]):
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3])), found[4] or ""
    except ValueError:
        return None
