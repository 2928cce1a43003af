"""When a record was, compared with an interval: wholly inside, or touching it; None if it cannot be told.

The time of a record is its clinical dates, by the table of its type; a partial date is the interval it
stands for, a date without a zone is read as UTC. A record that gives no clinical date, or one that cannot
be read, is undated: nothing proves it inside, nothing proves it outside.
Source: FHIR datatypes.html, dateTime, Period, Timing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.core.fhir.content_table import ContentRow, Paths
from gateway.core.fhir.elements import intervals, values_at
from gateway.core.fhir.literals import START, Interval
from gateway.core.fhir.matchers import all_of, any_of
from gateway.core.fhir.paths import Path

Dated = Interval | None
"""The time of one value; None for one that cannot be read."""

_LAST_UPDATED: Final = Path.parse("meta.lastUpdated")


def within(resource: object, row: ContentRow, limit: Interval) -> bool | None:
    """Whether the clinical time of `resource` lies wholly inside `limit`; yes for an exempt type."""
    if row.exempt:
        return True
    found = clinical_times(resource, row)
    return all_of(*(_inside(time, limit) for time in found)) if found else None


def touches(resource: object, row: ContentRow, limit: Interval) -> bool | None:
    """Whether any date of `resource` overlaps `limit`: clinical, other, or of its last change; no for an
    exempt type."""
    if row.exempt:
        return False
    changed = _times(resource, (_LAST_UPDATED,))
    return any_of(_overlaps(time, limit) for time in (*written_times(resource, row), *changed))


def written_times(resource: object, row: ContentRow) -> Iterator[Dated]:
    """All times that a record gives of itself, clinical and other, None for an undated one."""
    paths = (*(path for alternative in row.clinical for path in alternative), *row.other)
    yield from clinical_times(resource, row) or [None]
    yield from _times(resource, paths)


def clinical_times(resource: object, row: ContentRow) -> list[Dated]:
    """The times of the first alternative that has any; empty if none has."""
    for alternative in row.clinical:
        ends_apart = row.until if alternative is row.clinical[0] else ()
        found, ends = list(_times(resource, alternative)), list(_times(resource, ends_apart))
        if found or ends:
            return _joined(found, ends) if ends else found
    return []


def _joined(starts: list[Dated], ends: list[Dated]) -> list[Dated]:
    """From the first start to the last end; a start that is not given may be any."""
    known = [time for time in (*starts, *ends) if time is not None]
    unread: list[Dated] = [None] * (len(starts) + len(ends) - len(known))
    if not known:
        return unread
    low = min(time.low for time in known) if starts else START
    return [Interval(low, max(time.high for time in known)), *unread]


def _times(resource: object, paths: Paths) -> Iterator[Dated]:
    for path in paths:
        for value in values_at(resource, path):
            for time in _timing(value) if _is_timing(value) else intervals(value):
                # What ends before it begins says nothing.
                yield time if time is not None and time.low < time.high else None


def _is_timing(value: object) -> bool:
    return isinstance(value, dict) and not value.keys().isdisjoint({"event", "repeat", "code"})


def _timing(value: object) -> Iterator[Dated]:
    """The events that a Timing lists, and the bounds of what it repeats; a repetition without bounds, or a
    code alone, may be at any time."""
    assert isinstance(value, dict)
    if "event" in value:
        yield from intervals({"event": value["event"]})
    if "repeat" in value or "event" not in value:
        repeat = value.get("repeat")
        yield from intervals(repeat.get("boundsPeriod") if isinstance(repeat, dict) else None)


def _inside(time: Dated, limit: Interval) -> bool | None:
    return None if time is None else limit.low <= time.low and time.high <= limit.high


def _overlaps(time: Dated, limit: Interval) -> bool | None:
    return None if time is None else time.low < limit.high and limit.low < time.high
