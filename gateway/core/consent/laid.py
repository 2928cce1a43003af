"""A consent laid out: what of its tree depends neither on who asks nor on when.

Inheritance is resolved here, so each node stands for itself. One layout serves every request that is bound to
the consent as it is, under the same rules.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final, NamedTuple

from gateway.core.consent.bound import EVER, BoundNode, BoundTree, Span
from gateway.core.consent.inside import inside_of
from gateway.core.consent.labels import LabelOrder
from gateway.core.consent.purposes import BREAK_GLASS
from gateway.core.consent.rule import READING, WRITING, Consent, Effect, Match, Node, Period
from gateway.core.consent.verdict import Because
from gateway.core.values import OPERATIONS

_ANYTHING: Final = Match()  # above the top of a tree
_SEEING: Final = "rs"


class LaidNode(NamedTuple):
    """`match` has what the node inherits, but for the period: `period` is its own. `met` is the node for a
    request that meets it, without its exceptions."""

    match: Match
    period: Period
    met: BoundNode
    exceptions: tuple[LaidNode, ...]


class Laid(NamedTuple):
    """`met` is its tree for a request that meets its first node, without exceptions. `turns` are the seconds,
    in order, at which one of its periods begins or is over."""

    consent: Consent
    root: LaidNode
    met: BoundTree
    turns: tuple[int, ...]

    def span(self, now_s: int) -> Span:
        """The time around `now_s` in which none of its periods begins or ends."""
        if not self.turns:
            return EVER
        after = bisect_right(self.turns, now_s)
        ahead, behind = self.turns[after:], self.turns[:after]
        return Span(behind[-1] if behind else -math.inf, ahead[0] if ahead else math.inf)


def lay(consent: Consent, labels: LabelOrder) -> Laid:
    """The consent laid out, its labels read by `labels`."""
    turns: set[int] = set()
    _note(consent.period, turns)
    root = _lay(consent.root, _ANYTHING, consent, labels, turns)
    met = BoundTree(root.met, consent.id, consent.doubtful)
    return Laid(consent, root, met, tuple(sorted(turns)) if turns else ())


def overlay(above: Match, match: Match) -> Match:
    """The dimensions that hold for a node below `above`, but for the period."""
    if above is _ANYTHING:
        return match
    # Who asks and who holds the record are one dimension: to restate either is to restate both.
    people = match if match.actors or match.custodians else above
    return Match(
        people.actors,
        match.purposes or above.purposes,
        match.scopes or above.scopes,
        match.labels or above.labels,
        custodians=people.custodians,
        actions=match.actions or above.actions,
        classes=match.classes or above.classes,
        codes=match.codes or above.codes,
        data_period=match.data_period or above.data_period,
        data=match.data or above.data,
        opaque=match.opaque or above.opaque,
    )


def _lay(node: Node, above: Match, consent: Consent, labels: LabelOrder, turns: set[int]) -> LaidNode:
    match = overlay(above, node.match)
    _note(node.match.period, turns)
    met = BoundNode(
        node.effect is Effect.DENY,
        True,
        None,
        _operations(match),
        match.scopes,
        labels.rule(match.labels),
        inside_of(match),
        Because(consent.id, consent.entry, node.path),
        (),
        BREAK_GLASS in match.purposes,
    )
    exceptions = [_lay(exception, match, consent, labels, turns) for exception in node.exceptions]
    return LaidNode(match, node.match.period, met, tuple(exceptions))


def _operations(match: Match) -> str:
    """What its actions come to: whoever names one way of reading names reading."""
    if not match.actions:
        return OPERATIONS
    reading, writing = not READING.isdisjoint(match.actions), not WRITING.isdisjoint(match.actions)
    return "".join(letter for letter in OPERATIONS if (reading if letter in _SEEING else writing))


def _note(period: Period, turns: set[int]) -> None:
    if period.from_s is not None:
        turns.add(period.from_s)
    if period.until_s is not None:
        turns.add(period.until_s + 1)
