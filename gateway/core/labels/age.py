"""ADOL: what is sensitive, in a record that dates from the years in which a patient was an adolescent.

Nobody codes it: it follows from the dates of the record and the birth date of its patient, a record of its
own. What cannot be told counts as such a year. A label that comes with it stands where the sensitive one
does, and goes with it.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from gateway.core.consent.labels import LABELS
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.content_table import ContentRow
from gateway.core.fhir.dates import Dated, written_times
from gateway.core.fhir.elements import intervals
from gateway.core.fhir.literals import END, START
from gateway.core.labels.findings import ADOLESCENT, UNDETERMINED, Aged, Ages, Contribution, Found
from gateway.core.values import Label, Ref

_ZONES: Final = timedelta(hours=14)
"""A day begins so much earlier in the farthest east than in UTC, and nearly so much later in the west."""

_OF_PERSONS: Final = frozenset(
    {
        "ADOL", "B", "CEL", "DEMO", "DOB", "EMP", "EMPL", "GENDER", "LEGALHOLD", "LIVARG", "LOCIS", "MARST",
        "PATLOC", "RACE", "REL", "VIP",
    }
)  # fmt: skip
"""Labels that say who somebody is or where, or that a court asked: nothing of their care."""


def aged(ages: Ages, tree: dict[str, Tree], row: ContentRow, owners: Iterable[str]) -> Aged:
    """What the age of its `owners` decides on, in a record whose dates are where `row` says."""
    patients = tuple(Ref("Patient", owner) for owner in sorted(owners))
    times = tuple(dict.fromkeys(written_times(tree, row)))
    return Aged(ages, patients, times)


def by_age(
    contributions: Iterable[Contribution], aged: Aged | None, known: Callable[[Ref], Found | None]
) -> Iterator[Contribution]:
    """The reasons for ADOL in a record with these contributions: one for each that is sensitive. A Patient
    that is not `known` may have been of any age."""
    if aged is None:
        return
    reasons = [one for one in contributions if is_sensitive(one.label)]
    if not reasons or not _in_those_years(aged, known):
        return
    for one in reasons:
        yield one._replace(label=ADOLESCENT, basis=f"the patient's age: {one.basis}")


def _in_those_years(aged: Aged, known: Callable[[Ref], Found | None]) -> bool:
    found = map(known, aged.patients)
    return any(may_be_of_age(aged.ages, one.born if one else None, aged.times) for one in found)


def is_sensitive(label: Label) -> bool:
    """Whether the label is of something that an adolescent may have been cared for in confidence. One that is
    not known may be any; free text has a label of its own, which already counts as any."""
    if label == UNDETERMINED:
        return False
    marks = LABELS.marks([label])
    return bool(marks.sensitivities - _OF_PERSONS or marks.foreign)


def born_of(tree: dict[str, Tree]) -> Dated:
    """Between which instants the Patient `tree` was born; None if that cannot be told."""
    found = list(intervals(tree.get("birthDate")))
    return found[0] if len(found) == 1 and found[0] is not None and found[0].low < found[0].high else None


def may_be_of_age(ages: Ages, born: Dated, times: Iterable[Dated]) -> bool:
    """Whether one of the times may lie in the years `ages` of someone born then: from the birthday on which
    the first begins, up to the one on which the last does."""
    if born is None:
        return True
    first, last = ages
    low = _clamped(_birthday(born.low, first, leapless=(2, 28)), -_ZONES)
    high = _clamped(_birthday(_clamped(born.high, -_DAY), last, leapless=(3, 1)), _ZONES)
    return any(time is None or (time.low < high and low < time.high) for time in times)


_DAY: Final = timedelta(days=1)


def _birthday(born: datetime, years: int, *, leapless: tuple[int, int]) -> datetime:
    """So many years after birth; of a 29th of February, `leapless` in a year that has none."""
    year = born.year + years
    if year > END.year:
        return END
    if (born.month, born.day) == (2, 29) and not isleap(year):
        born = born.replace(month=leapless[0], day=leapless[1])
    return born.replace(year=year)


def _clamped(moment: datetime, more: timedelta) -> datetime:
    try:
        return moment + more
    except OverflowError:
        return END if more > timedelta(0) else START
