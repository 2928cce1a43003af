"""What of a patient's consents falls short of a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.consent.applied import Case, descend, may_apply, missed
from gateway.core.consent.bound import BoundTree
from gateway.core.consent.parts import Part
from gateway.core.consent.verdict import Miss, Reason


def missed_by(trees: Sequence[BoundTree], case: Case) -> list[Miss]:
    """The permits that the request meets and the record does not."""
    return [
        Miss(reason, node.because)
        for tree in trees
        for node in descend(tree.root)
        if not node.denies and node.missed is None and (reason := missed(node, case)) is not None
    ]


def short_of(part: Part, kind: str, operation: str, bound: frozenset[str] | None) -> Iterator[Miss]:
    """The permits that cannot reach the type, or not serve a token that rests on the consents `bound`."""
    yield from part.misses
    yield from part.shut
    for tree in part.trees:
        unusable = tree.unusable(bound)
        for node in descend(tree.root):
            if node.denies or node.missed is not None:
                continue
            if not may_apply(node, kind, operation):
                yield Miss(Reason.SCOPE, node.because)
            elif unusable is not None:
                yield Miss(unusable, node.because)
