"""What a rule says about the inside of a record: class, codes, dates, and what it hangs together with.

Three-valued: True, False, or None where it cannot be told. The same words reach differently in a permit and
in a deny: a permit wants the code among those that say what the record is, and its time wholly inside the
period; a deny is met by the code anywhere in it, and by any overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.core.consent.rule import RESOURCE_TYPES, DataRef, Match, Period
from gateway.core.consent.verdict import Content
from gateway.core.values import Label, Term


@dataclass(frozen=True, slots=True)
class Inside:
    """The dimensions of a node that look inside; at least one is not empty. Of the classes, `types` are the
    names of resource types, for which nothing needs to be read."""

    types: frozenset[str]
    classes: frozenset[Label]
    codes: frozenset[Label]
    period: Period | None
    data: frozenset[DataRef]

    def tells(self, kind: str, content: Content, *, denies: bool) -> bool | None:
        """Whether a record of type `kind` with this content is meant, by a deny or by a permit."""
        return every(self._dimensions(kind, content, denies))

    def may_tell(self, kind: str) -> bool:
        """Whether some record of the type can be meant."""
        return kind in self.types or bool(self.classes) or not self.types

    @property
    def by_type_alone(self) -> bool:
        return not (self.classes or self.codes or self.data) and self.period is None

    def _dimensions(self, kind: str, content: Content, denies: bool) -> Iterator[bool | None]:
        if self.types or self.classes:
            yield kind in self.types or some(content.is_class(one) for one in self.classes)
        if self.codes:
            yield some(content.has_code(code, primary=not denies) for code in self.codes)
        if self.period is not None:
            yield content.touches(self.period) if denies else content.within(self.period)
        if self.data:
            yield some(content.relates(data) for data in self.data)


def inside_of(match: Match) -> Inside | None:
    """What the node looks inside for; None if for nothing."""
    if not (match.classes or match.codes or match.data) and match.data_period is None:
        return None
    types = frozenset(kind.code for kind in match.classes if kind.system == RESOURCE_TYPES)
    others = frozenset(kind for kind in match.classes if kind.system != RESOURCE_TYPES)
    return Inside(types, others, match.codes, match.data_period, match.data)


class Once:
    """A record's content, with each question put to it once."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._answers: dict[tuple[object, ...], bool | None] = {}

    @property
    def asked(self) -> bool:
        """Whether the content had a part in the answer."""
        return bool(self._answers)

    def holds(self, term: Term) -> bool | None:
        return self._once((term,), lambda: self._content.holds(term))

    def has_code(self, code: Label, *, primary: bool) -> bool | None:
        return self._once((code, primary), lambda: self._content.has_code(code, primary=primary))

    def is_class(self, kind: Label) -> bool | None:
        return self._once((kind,), lambda: self._content.is_class(kind))

    def within(self, period: Period) -> bool | None:
        return self._once(("within", period), lambda: self._content.within(period))

    def touches(self, period: Period) -> bool | None:
        return self._once(("touches", period), lambda: self._content.touches(period))

    def relates(self, data: DataRef) -> bool | None:
        return self._once((data,), lambda: self._content.relates(data))

    def _once(self, question: tuple[object, ...], put: Callable[[], bool | None]) -> bool | None:
        if question not in self._answers:
            self._answers[question] = put()
        return self._answers[question]


def every(values: Iterable[bool | None]) -> bool | None:
    """Whether all hold: False if one does not, else None if one cannot be told."""
    found: bool | None = True
    for value in values:
        if value is False:
            return False
        found = found and value
    return found


def some(values: Iterable[bool | None]) -> bool | None:
    """Whether one holds: True if one does, else None if one cannot be told."""
    found: bool | None = False
    for value in values:
        if value is True:
            return True
        found = found if value is False else None
    return found
