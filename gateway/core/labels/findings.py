"""What a record says of itself, as values: reasons for labels, references that bring more, a house's policy.

A `Contribution` is one reason for one label, and where it stands. An `Edge` is a reference to a record whose
labels come here too. Both depend on the record, the tables and the policy alone: they may be kept by digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.core.consent.labels import ACT_CODE
from gateway.core.fhir.dates import Dated
from gateway.core.fhir.scan import Place
from gateway.core.values import Label, Ref

UNDETERMINED: Final = Label("", "undetermined")
"""What nobody coded, or cannot be looked at: it may be any label, and is R like all that are not known."""
PART_2: Final = Label(ACT_CODE, "42CFRPart2")
EMPLOYEE: Final = Label(ACT_CODE, "EMP")
VIOLENCE: Final = Label(ACT_CODE, "SDV")
VIP: Final = Label(ACT_CODE, "VIP")
ADOLESCENT: Final = Label(ACT_CODE, "ADOL")
INLINE: Final = "an inline label"
"""The basis of a label that stands on a single element."""


class Contribution(NamedTuple):
    """One reason for `label`: what stands at `place`, which is `separable` if the record can be shown without
    it. `basis` is the row of a table, or the rule in words."""

    label: Label
    place: Place
    separable: bool
    basis: str


class Edge(NamedTuple):
    """A reference that brings the labels of `target`; None for one that nobody can follow. `programme`: it is
    to who made the record, and brings that of a programme under 42 CFR Part 2 alone, known or not."""

    target: Ref | None
    place: Place
    separable: bool
    basis: str
    programme: bool = False


Ages = tuple[int, int]
"""Years of age, from one birthday up to another."""


class Aged(NamedTuple):
    """A record on which the age of `patients` decides: whether one of the `times`, None for one that cannot
    be told, was in their years `ages`."""

    ages: Ages
    patients: tuple[Ref, ...]
    times: tuple[Dated, ...]


class Found(NamedTuple):
    """What a record says of itself. `aged`: None where nobody's age decides on it; `born`: when its patient
    was, of a Patient, None if that cannot be told."""

    contributions: tuple[Contribution, ...] = ()
    edges: tuple[Edge, ...] = ()
    aged: Aged | None = None
    born: Dated = None


Context = Literal["none", "clinical", "all"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices that a house makes. `context`: which records have the labels of their encounter too;
    `part2_organizations` as `Organization/id` and `part2_sources` as in `meta.source` make records that fall
    under 42 CFR Part 2; `employees` and `vips` are patients, by id, all of whose records are labelled,
    and `victims` those of whom is labelled where they are;
    `adolescent` are the years of age in which what is sensitive is labelled, None for none."""

    confidence: float = 0.5
    context: Context = "clinical"
    part2_organizations: frozenset[str] = frozenset()
    part2_sources: frozenset[str] = frozenset()
    employees: frozenset[str] = frozenset()
    vips: frozenset[str] = frozenset()
    victims: frozenset[str] = frozenset()
    adolescent: Ages | None = None

    @property
    def has_programmes(self) -> bool:
        """Whether any record falls under 42 CFR Part 2 by what the house says."""
        return bool(self.part2_organizations or self.part2_sources)

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError("confidence is a number from 0 to 1")
        if self.adolescent is not None and not 0 <= self.adolescent[0] < self.adolescent[1]:
            raise ValueError("adolescent is from one age to a later one")
