"""What of a patient's consents falls short of a request, and what in them looks at more than the type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.consent.applied import Case, descend, may_apply, missed
from gateway.core.consent.bound import BoundNode, BoundTree, Part
from gateway.core.consent.verdict import Miss, Reason


def missed_by(trees: Sequence[BoundTree], case: Case) -> list[Miss]:
    """The permits that the request meets and the record does not."""
    return [
        Miss(reason, node.because)
        for tree in trees
        for node in descend(tree.root)
        if not node.denies and node.missed is None and (reason := missed(node, case)) is not None
    ]


def short_of(part: Part, kind: str, operation: str) -> Iterator[Miss]:
    """The permits that cannot reach the type, or that the token is not bound to."""
    yield from part.misses
    yield from part.shut
    for tree in part.trees:
        for node in descend(tree.root):
            if node.denies or node.missed is not None:
                continue
            if not may_apply(node, kind, operation):
                yield Miss(Reason.SCOPE, node.because)
            elif tree.unusable is not None:
                yield Miss(tree.unusable, node.because)


def nodes_of(part: Part) -> Iterator[BoundNode]:
    return (node for tree in part.trees for node in descend(tree.root))


def looks_inside(node: BoundNode) -> bool:
    """Whether labels or content of a record make a difference to the node."""
    if node.missed is not None:
        return False
    return (
        node.labels is not None or node.inside is not None or any(scope.constraints for scope in node.scopes)
    )
