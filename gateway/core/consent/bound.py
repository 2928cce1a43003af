"""A consent bound to a request: its tree with everything decided that the request settles.

What is left depends on the record: operation, scope, labels and content. Each node stands for itself, with
all that it inherits. Branches that cannot apply to the request are gone.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from gateway.core.consent.inside import Inside
from gateway.core.consent.labels import LabelRule
from gateway.core.consent.verdict import Because, Miss, Reason
from gateway.core.values import Scope


class BoundNode(NamedTuple):
    """`met`: whether the request meets the node, None where that cannot be told; `missed` is then, or if it
    does not, the dimension that keeps the node from applying. `operations` are letters of `cruds`. `glass`:
    whether it names break-glass. `stopped` marks the deny that a stopped permit has become."""

    denies: bool
    met: bool | None
    missed: Reason | None
    operations: str
    scopes: tuple[Scope, ...]
    labels: LabelRule | None
    inside: Inside | None
    because: Because
    exceptions: tuple[BoundNode, ...] = ()
    glass: bool = False
    stopped: bool = False


class BoundTree(NamedTuple):
    """`doubtful`: nobody may rest on the consent's permits. Its denies bind in any case."""

    root: BoundNode
    id: str
    doubtful: bool

    def governs(self, operation: str) -> bool:
        """Whether the consent is about this request, so that what it does not permit is not implied."""
        root = self.root
        return not root.denies and root.met is not False and operation in root.operations

    def unusable(self, bound: frozenset[str] | None) -> Reason | None:
        """Why nobody may rest on its permits, None if a token may that rests on the consents `bound`."""
        if self.doubtful:
            return Reason.DOUBTFUL
        return None if bound is None or self.id in bound else Reason.UNBOUND


class Span(NamedTuple):
    """Seconds since the epoch, from `since` on and before `until`."""

    since: float
    until: float

    def includes(self, now_s: int) -> bool:
        return self.since <= now_s < self.until

    def within(self, other: Span) -> Span:
        return Span(max(self.since, other.since), min(self.until, other.until))


EVER: Final = Span(-math.inf, math.inf)


class Covered(NamedTuple):
    """A consent that concerns the asker, and the ledger entry of what it says, or of its stop."""

    id: str
    entry: int


class Binding(NamedTuple):
    """What one consent comes to for a request, at any moment within `span`: `misses` are its grants that do
    not apply, `shut` says why nothing is implied beside it. `covered` is the consent if it concerns who
    asks."""

    trees: tuple[BoundTree, ...] = ()
    misses: tuple[Miss, ...] = ()
    shut: tuple[Miss, ...] = ()
    span: Span = EVER
    covered: Covered | None = None


NOTHING: Final = Binding()
