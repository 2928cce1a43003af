"""The content of one record, as rules ask about it (`verdict.Content`), answered from its JSON.

The JSON is parsed when the first question comes, and once. A question whose answer depends on more than the
record's type reads it, even where the id would do: so who remembers answers by type sees that this one was
about one record. None is an answer: it cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.core.consent.authors import AgentsFor, not_told
from gateway.core.consent.membership import NOBODY, Membership
from gateway.core.consent.rule import (
    AUTHORED,
    CARE_TEAM,
    DEVICE,
    GROUP,
    ORGANIZATION,
    PRACTITIONER,
    PRACTITIONER_ROLE,
    PROFILES,
    DataRef,
    Period,
)
from gateway.core.fhir import coded, dates, match, refers
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.elements import values_at
from gateway.core.fhir.literals import END, START, Interval
from gateway.core.fhir.matchers import any_of, same_canonical
from gateway.core.fhir.paths import Path
from gateway.core.fhir.provenance import PROVENANCE, agents_of
from gateway.core.values import Label, Ref, Term

Named = Callable[[Ref], Tree | None]
"""The record that a rule's data names, None if it was not read."""

KIND_OF_TYPE: Final = {
    "Organization": ORGANIZATION,
    "Practitioner": PRACTITIONER,
    "PractitionerRole": PRACTITIONER_ROLE,
    "CareTeam": CARE_TEAM,
    "Group": GROUP,
    "Device": DEVICE,
}
"""How membership names those who can write, by the type of their record."""

BOTH_WAYS: Final = frozenset({"Encounter", "EpisodeOfCare", "CarePlan"})
"""Types for which `related` also means what refers to them: IHE PCF says so of data "created as part of an
encounter", which FHIR calls dependents."""


def not_read(_ref: Ref) -> None:
    """`Named` where no further record was read."""


class RecordContent:
    """The content of the record `kind`/`ident`, whose tree `content` gives. `named` finds other records that
    rules name, so that what those refer to can be told; `membership` says who writes for whom; `agents` who
    made the record by what Provenance says."""

    def __init__(
        self,
        kind: str,
        ident: str,
        content: Callable[[], Tree],
        catalogue: Catalogue,
        bases: Bases,
        named: Named = not_read,
        membership: Membership = NOBODY,
        agents: AgentsFor = not_told,
    ) -> None:
        self._ref = Ref(kind, ident)
        self._parse, self._parsed = content, False
        self._catalogue, self._bases, self._named = catalogue, bases.both, named
        self._membership, self._agents = membership, agents
        self._row = catalogue.content(kind)

    @property
    def _tree(self) -> Tree:
        if not self._parsed:
            self._kept, self._parsed = self._parse(), True
        return self._kept

    def holds(self, term: Term) -> bool | None:
        return match.tells(self._catalogue, self._tree, term, self._bases)

    def has_code(self, code: Label, *, primary: bool) -> bool | None:
        ask = coded.is_about if primary else coded.holds_coding
        return ask(self._tree, self._catalogue, code)

    def is_class(self, kind: Label) -> bool | None:
        if kind.system == PROFILES:
            return _is_of_profile(self._tree, self._ref.type, kind.code)
        return coded.is_document(self._tree, self._catalogue, kind)

    def within(self, period: Period) -> bool | None:
        return True if self._row.exempt else dates.within(self._tree, self._row, interval_of(period))

    def touches(self, period: Period) -> bool | None:
        return False if self._row.exempt else dates.touches(self._tree, self._row, interval_of(period))

    def relates(self, data: DataRef) -> bool | None:
        tree = self._tree
        if data.meaning == AUTHORED:
            # Who made a Provenance stands in it, and nothing is asked about it.
            own = self._ref.type == PROVENANCE
            agents = agents_of(tree) if own else self._agents(data.ref)
            return refers.authored(tree, self._catalogue, self._bases, data.ref, self._belongs, agents)
        if data.ref == self._ref:
            return True
        # An instance is itself alone; the others are it and what is beside it.
        mentions, mentioned = _DIRECTIONS[data.meaning]
        return any_of(
            (
                (mentions or (mentioned and data.ref.type in BOTH_WAYS)) and self._refers_to(tree, data.ref),
                mentioned and self._is_mentioned_by(data.ref),
            )
        )

    def _refers_to(self, tree: Tree, other: Ref) -> bool | None:
        return refers.refers(tree, self._catalogue, self._bases, other)

    def _is_mentioned_by(self, other: Ref) -> bool | None:
        tree = self._named(other)
        return None if tree is None else refers.refers(tree, self._catalogue, self._bases, self._ref)

    def _belongs(self, one: Ref, whole: Ref) -> bool:
        kinds = KIND_OF_TYPE.get(one.type), KIND_OF_TYPE.get(whole.type)
        if kinds[0] is None or kinds[1] is None:
            return False
        above = self._membership.closed(frozenset({f"{kinds[0]}:{one.id}"}))
        return f"{kinds[1]}:{whole.id}" in above


# By meaning: whether it counts that the record refers to the one named, and that this one refers to it.
_DIRECTIONS: Final = {"instance": (False, False), "dependents": (True, False), "related": (False, True)}

_PROFILE: Final = Path.parse("meta.profile")
_DEFINITIONS: Final = "http://hl7.org/fhir/StructureDefinition/"


def _is_of_profile(tree: Tree, kind: str, canonical: str) -> bool | None:
    """Whether the record says that it is of the profile; of its type's own it always is."""
    if canonical.partition("|")[0] == _DEFINITIONS + kind:
        return True
    return any_of(
        same_canonical(canonical, value) if isinstance(value, str) else None
        for value in values_at(tree, _PROFILE)
    )


def interval_of(period: Period) -> Interval:
    """The instants of a period; its last second counts as a whole."""
    low = START if period.from_s is None else _EPOCH + timedelta(seconds=period.from_s)
    if period.until_s is None or period.until_s >= _LAST_S:
        return Interval(low, END)
    return Interval(low, _EPOCH + timedelta(seconds=period.until_s + 1))


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S: Final = (END - _EPOCH) // timedelta(seconds=1)
