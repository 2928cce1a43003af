"""A bound tree applied to a record: operation, scope, labels and content, and which nodes decide.

Matching is three-valued here as in `bound`: what cannot be told counts as a match for a deny and as none
for a permit. What holds for every record of a type is said at the end, without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from gateway.core.consent.bound import BoundNode
from gateway.core.consent.inside import Once, every
from gateway.core.consent.labels import LabelOrder, LabelRule, Marks
from gateway.core.consent.verdict import Reason, ResourceFacts
from gateway.core.values import Scope

_SEEING = frozenset("rs")


class Case:
    """One record and operation. Each question about its content is put once."""

    def __init__(self, facts: ResourceFacts, operation: str, order: LabelOrder) -> None:
        self.type = facts.type
        self.operation = operation
        self.labels = facts.labels
        self.content = Once(facts.content)
        self._order = order

    @property
    def looked_inside(self) -> bool:
        """Whether the content had a part in the answer."""
        return self.content.asked

    @cached_property
    def marks(self) -> Marks:
        return self._order.marks(self.labels)

    @cached_property
    def clear(self) -> Marks:
        """The marks without those of labels that are not known here."""
        return self._order.marks(self.marks.all - self.marks.foreign)


def frontier(node: BoundNode, case: Case, contained: bool) -> list[BoundNode]:
    """The nodes that decide: the deepest that apply, each in the place of those above it."""
    return _contained(node, case, certain=True) if contained else _inherited(node, case)


def _inherited(node: BoundNode, case: Case) -> list[BoundNode]:
    if not node.exceptions:
        return [node] if missed(node, case) is None else []
    found: list[BoundNode] = []
    for exception in node.exceptions:
        found += _inherited(exception, case)
    if not found and missed(node, case) is None:
        found.append(node)
    return found


def _contained(node: BoundNode, case: Case, *, certain: bool) -> list[BoundNode]:
    """As above, where an exception counts only below what applies: a permit below what certainly does, a
    deny below what may."""
    here = _applies(node, case)
    if here is False:
        return []
    certain = certain and here is True
    found: list[BoundNode] = []
    for exception in node.exceptions:
        found += _contained(exception, case, certain=certain)
    if not found and (certain or node.denies):
        found.append(node)
    return found


def missed(node: BoundNode, case: Case) -> Reason | None:
    """The first dimension by which request or record fail the node; None if it applies."""
    if node.missed is not None:
        return node.missed
    denies = node.denies
    if case.operation not in node.operations:
        return Reason.SCOPE
    if node.scopes and not _counts(_in_scope(node, case), denies):
        return Reason.SCOPE
    if node.labels is not None and not _reaches(node.labels, case.marks, denies):
        return Reason.LABEL
    if node.inside is None or _counts(node.inside.tells(case.type, case.content, denies=denies), denies):
        return None
    return Reason.CONTENT


def _applies(node: BoundNode, case: Case) -> bool | None:
    """Whether request and record meet the node; None where that cannot be told."""
    if node.met is False or case.operation not in node.operations:
        return False
    labelled = node.labels is None or _labelled(node.labels, case, node.denies)
    in_scope = not node.scopes or _in_scope(node, case)
    inside = node.inside is None or node.inside.tells(case.type, case.content, denies=node.denies)
    return every((node.met, labelled, in_scope, inside))


def _labelled(labels: LabelRule, case: Case, denies: bool) -> bool | None:
    """Whether the labels are meant; None if that hangs on one that is not known here."""
    if _reaches(labels, case.marks, denies) == _reaches(labels, case.clear, denies):
        return _reaches(labels, case.marks, denies)
    return None


def _counts(value: bool | None, denies: bool) -> bool:
    return value is True or (denies and value is None)


def _in_scope(node: BoundNode, case: Case) -> bool | None:
    found: bool | None = False
    for scope in node.scopes:
        if _about(scope, case.type, case.operation, node.denies):
            held = every(map(case.content.holds, scope.constraints)) if scope.constraints else True
            if held:
                return True
            found = found if held is False else None
    return found


def _reaches(labels: LabelRule, marks: Marks, denies: bool) -> bool:
    return labels.denies(marks) if denies else labels.permits(marks)


def _about(scope: Scope, kind: str, operation: str, denies: bool) -> bool:
    if scope.type not in ("*", kind):
        return False
    # Reading and searching show the same record: who forbids one forbids the other.
    if denies and operation in _SEEING and not _SEEING.isdisjoint(scope.operations):
        return True
    return operation in scope.operations


# --- What can be said without a record -------------------------------------------------------------


def descend(node: BoundNode) -> Sequence[BoundNode]:
    """The node and all below it."""
    if not node.exceptions:
        return (node,)
    return [node, *(lower for exception in node.exceptions for lower in descend(exception))]


def reach(node: BoundNode, kind: str, operation: str, within: LabelRule | None = None) -> bool | None:
    """Whether the node applies to every record of the type (that `within` permits), None if to some of them.
    Its exceptions are left out."""
    if node.missed is not None or operation not in node.operations:
        return False
    about = whole = not node.scopes
    for scope in node.scopes:
        if _about(scope, kind, operation, node.denies):
            about, whole = True, whole or not scope.constraints
    if not about or (node.inside is not None and not node.inside.may_tell(kind)):
        return False
    if node.inside is not None:
        whole = whole and node.inside.by_type_alone
    if node.labels is not None:
        whole = whole and within is not None and node.labels.covers(within)
    return whole or None


def may_apply(node: BoundNode, kind: str, operation: str) -> bool:
    """Whether the node applies to some record of the type."""
    return reach(node, kind, operation) is not False


def always_denies(
    node: BoundNode, kind: str, operation: str, contained: bool, within: LabelRule | None = None
) -> Sequence[BoundNode]:
    """The nodes that deny every record of the type (that `within` permits), whatever it holds."""
    certain = reach(node, kind, operation, within) is True
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
