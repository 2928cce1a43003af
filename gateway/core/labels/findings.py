"""What a record says of itself, as values: reasons for labels, references that bring more, a house's policy.

A `Contribution` is one reason for one label, and where it stands. An `Edge` is a reference to a record whose
labels come here too. Both depend on the record, the tables and the policy alone: they may be kept by digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.core.consent.labels import ACT_CODE
from gateway.core.fhir.scan import Place
from gateway.core.values import Label, Ref

UNDETERMINED: Final = Label("", "undetermined")
"""What nobody coded, or cannot be looked at: it may be any label, and is R like all that are not known."""
PART_2: Final = Label(ACT_CODE, "42CFRPart2")
EMPLOYEE: Final = Label(ACT_CODE, "EMP")
VIP: Final = Label(ACT_CODE, "VIP")


class Contribution(NamedTuple):
    """One reason for `label`: what stands at `place`, which is `separable` if the record can be shown without
    it. `basis` is the row of a table, or the rule in words."""

    label: Label
    place: Place
    separable: bool
    basis: str


class Edge(NamedTuple):
    """A reference that brings the labels of `target`; None for one that nobody can follow."""

    target: Ref | None
    place: Place
    separable: bool
    basis: str


class Found(NamedTuple):
    """What a record says of itself."""

    contributions: tuple[Contribution, ...] = ()
    edges: tuple[Edge, ...] = ()


Context = Literal["none", "clinical", "all"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices that a house makes. `context`: which records have the labels of their encounter too;
    `part2_organizations` as `Organization/id` and `part2_sources` as in `meta.source` make records that fall
    under 42 CFR Part 2; `employees` and `vips` are patients, by id, all of whose records are labelled."""

    confidence: float = 0.5
    context: Context = "clinical"
    part2_organizations: frozenset[str] = frozenset()
    part2_sources: frozenset[str] = frozenset()
    employees: frozenset[str] = frozenset()
    vips: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError("confidence is a number from 0 to 1")
