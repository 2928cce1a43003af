"""The labels of a record: its own, those of what it speaks of, and those of where it belongs.

Labels go up through references as long as they are followed, three steps at most: the labels of what can be
reached are joined, so neither order nor a circle of references makes a difference. A record that cannot be
looked at may have any. What is found is joined to what the upstream says; nothing here takes a label away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.core.consent.labels import CONFIDENTIALITY, LABELS, LEVELS
from gateway.core.fhir.codec import Tree
from gateway.core.labels.age import by_age
from gateway.core.labels.findings import PART_2, UNDETERMINED, Contribution, Edge, Found
from gateway.core.labels.found import Finder
from gateway.core.values import Label, Ref

DEPTH: Final = 3  # references followed from a record

Known = Callable[[Ref], Found | None]
"""What a record that was fetched says of itself; None for one that was not, or could not be."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """All labels of a record with the confidentiality that follows from them, and each one's reasons."""

    labels: frozenset[Label]
    contributions: tuple[Contribution, ...]


def _nothing(_: Ref) -> None:
    return None


class Labeller:
    """Labels records by the tables of one house, which `digest` names."""

    def __init__(self, finder: Finder, digest: str) -> None:
        self._finder = finder
        self.digest = digest

    def label(
        self, kind: str, tree: Tree, known: Known = _nothing, owners: frozenset[str] = frozenset()
    ) -> Labelled:
        """The labels of the resource `tree` of type `kind`, where `known` has the records around it and
        `owners` are the ids of its patients. One that cannot be read at all is `UNDETERMINED`, which is R."""
        contributions = spread(self.found(kind, tree, owners), known)
        return Labelled(levelled(one.label for one in contributions), contributions)

    def found(self, kind: str, tree: Tree, owners: frozenset[str] = frozenset()) -> Found:
        """What the resource says of itself."""
        if type(tree) is not dict:
            return Found((Contribution(UNDETERMINED, (), False, "not a resource"),))
        return self._finder.find(kind, tree, owners)

    @property
    def has_programmes(self) -> bool:
        """Whether records can fall under 42 CFR Part 2 here."""
        return self._finder.policy.has_programmes

    def programme(self, kind: str, tree: Tree) -> Found:
        """Of what the resource says of itself, whether a programme under 42 CFR Part 2 made it."""
        return self._finder.programme(kind, tree) if type(tree) is dict else Found()


def levelled(labels: Iterable[Label]) -> frozenset[Label]:
    """The labels, with the confidentiality that they ask for: R for any, V for a legal hold (HL7 DS4P)."""
    joined = frozenset(labels)
    return joined | {Label(CONFIDENTIALITY, LEVELS[LABELS.marks(joined).level])} if joined else joined


def lasting(contributions: Iterable[Contribution]) -> frozenset[Label]:
    """The labels that other versions of a record have too: all but those of text that nobody coded."""
    return frozenset(one.label for one in contributions if _travels(one.label, one.separable))


def spread(found: Found, known: Known) -> tuple[Contribution, ...]:
    """The record's own contributions, those that its references bring, and what age makes of them."""
    reached = _Reached(known)
    brought = [
        Contribution(label, edge.place, edge.separable, f"{edge.basis}: {basis}")
        for edge in found.edges
        for label, basis in sorted(reached.through(edge, DEPTH).items())
    ]
    whole = [*found.contributions, *brought]
    return tuple(dict.fromkeys([*whole, *by_age(whole, found.aged, known)]))


def wanted(found: Found) -> Iterator[Ref]:
    """The records to fetch next to know what the references of one bring."""
    yield from (edge.target for edge in found.edges if edge.target is not None)
    if found.aged is not None:
        yield from found.aged.patients


class _Reached:
    """The labels to be met behind references, with the reason for the first of each."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._met: dict[tuple[Ref, int], dict[Label, str]] = {}

    def through(self, edge: Edge, steps: int) -> dict[Label, str]:
        if edge.programme:
            return self._made_by(edge.target)
        if edge.target is None:
            return {UNDETERMINED: "a reference that cannot be followed"}
        met = self._met.get((edge.target, steps))
        if met is None:
            met = self._met[edge.target, steps] = self._of(edge.target, steps)
        return met

    def _made_by(self, target: Ref | None) -> dict[Label, str]:
        found = None if target is None else self._known(target)
        if found is None:
            return {PART_2: "somebody who cannot be looked at"}
        return {one.label: one.basis for one in found.contributions if one.label == PART_2}

    def _of(self, target: Ref, steps: int) -> dict[Label, str]:
        found = self._known(target)
        if found is None:
            return {UNDETERMINED: "a record that cannot be looked at"}
        met: dict[Label, str] = {}
        for one in found.contributions:
            if _travels(one.label, one.separable):
                met.setdefault(one.label, one.basis)
        for edge in found.edges if steps > 1 else ():
            for label, basis in self.through(edge, steps - 1).items():
                if _travels(label, edge.separable):
                    met.setdefault(label, basis)
        reasons = [Contribution(label, (), False, basis) for label, basis in met.items()]
        for one in by_age(reasons, found.aged, self._known):
            met.setdefault(one.label, one.basis)
        return met


def _travels(label: Label, separable: bool) -> bool:
    """Text that can be taken out where it stands says nothing of the records around it."""
    return label != UNDETERMINED or not separable
