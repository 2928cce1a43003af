"""Dates and Periods of FHIR as whole seconds, and back.

A partial date stands for all of its time: an end `2012-02-03` includes that whole day, in UTC where it names
no zone (FHIR datatypes, Period).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.core.consent.fhir.element import Element
from gateway.core.consent.rule import ALWAYS, Period
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.literals import Interval, parse_date

_MEMBERS: Final = frozenset({"start", "end"})
_TICK: Final = timedelta(microseconds=1)


def period(at: Element, *, inwards: bool) -> Period | None:
    """The Period at `at`; None and a problem if it says nothing, or what is no time. A fraction of a second
    at its start counts out, or in unless `inwards`."""
    at.only(_MEMBERS)
    start, end = instant(at, "start"), instant(at, "end")
    if "start" not in at.tree and "end" not in at.tree:
        at.refuse("has neither a start nor an end")
        return None
    try:
        found = Period(
            None if start is None else _first(start, inwards), None if end is None else last_second(end)
        )
    except ValueError:
        at.refuse("ends before it begins")
        return None
    return found if found != ALWAYS else None


def instant(at: Element, name: str) -> Interval | None:
    """The time that a date or dateTime stands for; None if it is absent, or a problem."""
    text = at.text(name)
    if text is None:
        return None
    try:
        _, found = parse_date(text)
    except (ValueError, OverflowError):
        found = None
    if found is None or not text[0].isdigit():
        at.refuse("is not a date or a date-time with its offset", name)
        return None
    return found


def last_second(interval: Interval) -> int:
    """The last whole second that begins in the interval."""
    return int((interval.high - _TICK).replace(microsecond=0).timestamp())


def written(period: Period) -> dict[str, Tree]:
    """A Period in seconds of UTC, as `period` reads it."""
    ends = {"start": period.from_s, "end": period.until_s}
    return {name: _text(at_s) for name, at_s in ends.items() if at_s is not None}


def _first(start: Interval, inwards: bool) -> int:
    whole = int(start.low.replace(microsecond=0).timestamp())
    return whole + 1 if inwards and start.low.microsecond else whole


def _text(at_s: int) -> str:
    return (_EPOCH + timedelta(seconds=at_s)).isoformat().replace("+00:00", "Z")


_EPOCH: Final = datetime.fromtimestamp(0, UTC)
