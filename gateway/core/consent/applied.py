"""A bound tree applied to a record: scope and labels, and which nodes decide.

Matching is three-valued here as in `bound`: what cannot be told counts as a match for a deny and as none
for a permit. What holds for every record of a type is said at the end, without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from gateway.core.consent.bound import BoundNode
from gateway.core.consent.labels import LabelOrder, LabelRule, Marks
from gateway.core.consent.verdict import Reason, ResourceFacts
from gateway.core.values import Scope, Term

_SEEING = frozenset("rs")


class Case:
    """One record and operation. Each of its constraints is put to the content once."""

    def __init__(self, facts: ResourceFacts, operation: str, order: LabelOrder) -> None:
        self.type = facts.type
        self.operation = operation
        self._facts = facts
        self._order = order
        self._answers: dict[Term, bool | None] = {}

    @property
    def looked_inside(self) -> bool:
        """Whether the content had a part in the answer."""
        return bool(self._answers)

    @cached_property
    def marks(self) -> Marks:
        return self._order.marks(self._facts.labels)

    def holds(self, scope: Scope, *, denies: bool) -> bool:
        """Whether the scope's constraints all hold, the unknown read against the asker."""
        answers = [self._answer(term) for term in scope.constraints]
        return False not in answers and (denies or None not in answers)

    def _answer(self, term: Term) -> bool | None:
        if term not in self._answers:
            self._answers[term] = self._facts.holds(term)
        return self._answers[term]


def frontier(node: BoundNode, case: Case, contained: bool) -> list[BoundNode]:
    """The nodes that decide: the deepest that apply, each in the place of those above it."""
    if contained and missed(node, case) is not None:
        return []
    found: list[BoundNode] = []
    for exception in node.exceptions:
        found += frontier(exception, case, contained)
    if not found and (contained or missed(node, case) is None):
        found.append(node)
    return found


def missed(node: BoundNode, case: Case) -> Reason | None:
    """The first dimension by which request or record fail the node; None if it applies."""
    if node.missed is not None:
        return node.missed
    denies = node.denies
    if node.scopes and not any(
        _about(scope, case.type, case.operation, denies) and case.holds(scope, denies=denies)
        for scope in node.scopes
    ):
        return Reason.SCOPE
    if node.labels is not None:
        reached = node.labels.denies(case.marks) if denies else node.labels.permits(case.marks)
        return None if reached else Reason.LABEL
    return None


def _about(scope: Scope, kind: str, operation: str, denies: bool) -> bool:
    if scope.type not in ("*", kind):
        return False
    # Reading and searching show the same record: who forbids one forbids the other.
    if denies and operation in _SEEING and not _SEEING.isdisjoint(scope.operations):
        return True
    return operation in scope.operations


# --- What can be said without a record -------------------------------------------------------------


def descend(node: BoundNode) -> Iterator[BoundNode]:
    yield node
    for exception in node.exceptions:
        yield from descend(exception)


def may_apply(node: BoundNode, kind: str, operation: str) -> bool:
    """Whether the node applies to some record of the type."""
    return node.missed is None and (
        not node.scopes or any(_about(scope, kind, operation, node.denies) for scope in node.scopes)
    )


def always_denies(
    node: BoundNode, kind: str, operation: str, contained: bool, within: LabelRule | None = None
) -> Sequence[BoundNode]:
    """The nodes that deny every record of the type (that `within` permits), whatever it holds."""
    certain = _applies_always(node, kind, operation, within)
    if contained and not certain:
        return ()
    inner = [
        found
        for exception in node.exceptions
        for found in always_denies(exception, kind, operation, contained, within)
    ]
    if inner or not (certain and node.denies):
        return inner
    below = (lower for exception in node.exceptions for lower in descend(exception) if not lower.denies)
    return () if any(may_apply(lower, kind, operation) for lower in below) else (node,)


def _applies_always(node: BoundNode, kind: str, operation: str, within: LabelRule | None) -> bool:
    if node.missed is not None:
        return False
    if node.scopes and not any(
        _about(scope, kind, operation, node.denies) and not scope.constraints for scope in node.scopes
    ):
        return False
    return node.labels is None or (within is not None and node.labels.covers(within))
