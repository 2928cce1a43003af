"""One patient's consents bound to a request, and what they say of every record of a type.

A part holds for the time of its span. What was found out about a type is kept with it, so a part that serves
many requests is looked through once for each type that they ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

from gateway.core.consent.applied import always_denies, descend, may_apply, reach
from gateway.core.consent.authors import Author
from gateway.core.consent.bound import EVER, NOTHING, Binding, BoundNode, BoundTree, Covered, Span
from gateway.core.consent.labels import LabelRule
from gateway.core.consent.rule import AUTHORED, RELATED
from gateway.core.consent.verdict import Because, Miss
from gateway.core.values import Ref

_KEPT: Final = 64  # types and operations remembered


Candidate: TypeAlias = tuple[BoundTree, BoundNode | None]
"""A consent that may decide about a record of a type; its one node, if that applies to every such record."""


@dataclass(frozen=True)
class Part:
    """What one patient's consents come to for one of the purposes asked. `contained` is how nesting is read;
    `implied`: whether the implicit policy speaks of the request; `shut` are the consents that keep it from
    counting, `coverage` all that concern the asker."""

    trees: tuple[BoundTree, ...] = ()
    misses: tuple[Miss, ...] = ()
    shut: tuple[Miss, ...] = ()
    span: Span = EVER
    contained: bool = False
    implied: bool = False
    coverage: frozenset[Covered] = frozenset()
    _candidates: dict[tuple[str, str], tuple[Candidate, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def open(self) -> bool:
        return self.implied and not self.shut

    def candidates(self, kind: str, operation: str) -> tuple[Candidate, ...]:
        """The consents that may decide about some record of the type, in their order."""
        found = self._candidates.get((kind, operation))
        if found is None:
            if len(self._candidates) >= _KEPT:
                self._candidates.clear()
            found = self._candidates[kind, operation] = tuple(_candidates(self.trees, kind, operation))
        return found

    def barring(self, kind: str, operation: str, within: LabelRule | None = None) -> Iterator[Because]:
        """The nodes that deny every record of the type, or every one that `within` permits."""
        for tree in self._denying:
            for node in always_denies(tree.root, kind, operation, self.contained, within):
                yield node.because

    @cached_property
    def looks_inside(self) -> bool:
        """Whether labels or content of a record can make a difference."""
        return self.open or any(map(_looks_inside, self._nodes))

    @cached_property
    def weighs_labels(self) -> bool:
        """Whether labels of a record can make a difference."""
        return self.open or any(node.labels is not None and node.missed is None for node in self._nodes)

    @cached_property
    def named(self) -> frozenset[Ref]:
        """The records that rules name as related to others."""
        inside = (node.inside for node in self._nodes if node.inside is not None)
        return frozenset(data.ref for one in inside for data in one.data if data.meaning == RELATED)

    @cached_property
    def authors(self) -> frozenset[Author]:
        """Those whom rules are about as authors. A node with exceptions can make way for one either way."""
        return frozenset(
            Author(data.ref, denies)
            for node in self._nodes
            if node.inside is not None
            for data in node.inside.data
            if data.meaning == AUTHORED
            for denies in ((True, False) if node.exceptions else (node.denies,))
        )

    @cached_property
    def _denying(self) -> list[BoundTree]:
        return [tree for tree in self.trees if tree.root.denies or tree.root.exceptions]

    @cached_property
    def _nodes(self) -> list[BoundNode]:
        return [node for tree in self.trees for node in descend(tree.root)]


def part_of(bindings: Iterable[Binding], *, contained: bool, implied: bool) -> Part:
    """The part that the bindings of all of a patient's consents make, in their order."""
    trees: list[BoundTree] = []
    misses: list[Miss] = []
    shut: list[Miss] = []
    coverage: list[Covered] = []
    span = EVER
    for binding in bindings:
        if binding is NOTHING:
            continue
        trees += binding.trees
        misses += binding.misses
        shut += binding.shut
        coverage += () if binding.covered is None else (binding.covered,)
        if binding.span is not EVER:
            span = span.within(binding.span)
    return Part(tuple(trees), tuple(misses), tuple(shut), span, contained, implied, frozenset(coverage))


def _looks_inside(node: BoundNode) -> bool:
    if node.labels is None and node.inside is None and not any([scope.constraints for scope in node.scopes]):
        return False
    return node.missed is None


def _candidates(trees: Iterable[BoundTree], kind: str, operation: str) -> Iterator[Candidate]:
    for tree in trees:
        root = tree.root
        reached = reach(root, kind, operation)
        if root.exceptions:
            if reached is not False or _any_below(root, kind, operation):
                yield tree, None
        elif reached is not False:
            yield tree, root if reached else None


def _any_below(node: BoundNode, kind: str, operation: str) -> bool:
    """Whether an exception applies to some record of the type."""
    return any(may_apply(lower, kind, operation) for lower in descend(node)[1:])
