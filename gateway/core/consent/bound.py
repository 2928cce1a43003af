"""A consent's tree with everything decided that one request settles: actor, purpose and period.

What is left depends on the record: scope and labels. Inheritance is resolved here too, so each node
stands for itself. Matching is three-valued: what cannot be told counts as a match for a deny and as none
for a permit. Branches that cannot apply to this request are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.core.consent.hierarchy import Hierarchy
from gateway.core.consent.labels import LabelOrder, LabelRule
from gateway.core.consent.purposes import covers
from gateway.core.consent.rule import Consent, Effect, Match, Node, State, kind_of
from gateway.core.consent.verdict import Asker, Because, Miss, Reason
from gateway.core.values import Scope

_ANYTHING: Final = Match()  # above the top of a tree


@dataclass(frozen=True, slots=True)
class BoundNode:
    """`missed` is the dimension by which the request fails the node, None if it is met. `stopped` marks
    the deny that a stopped permit has become."""

    effect: Effect
    missed: Reason | None
    scopes: tuple[Scope, ...]
    labels: LabelRule | None
    because: Because
    exceptions: tuple[BoundNode, ...] = ()
    stopped: bool = False

    @property
    def denies(self) -> bool:
        return self.effect is Effect.DENY


@dataclass(frozen=True, slots=True)
class BoundTree:
    """`usable`: whether the token may rest on the consent's permits; its denies bind in any case."""

    root: BoundNode
    usable: bool
    id: str
    entry: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one patient's consents come to for one of the purposes asked."""

    trees: tuple[BoundTree, ...]
    misses: tuple[Miss, ...]


@dataclass(slots=True)
class Frame:
    """The request, for one of its purposes (None: it names none); `misses` are gathered on the way."""

    asker: Asker
    purpose: str | None
    now_s: int
    contained: bool
    labels: LabelOrder
    purposes: Hierarchy
    misses: list[Miss] = field(default_factory=list)


def bind_consents(consents: Sequence[Consent], frame: Frame, bound: frozenset[str] | None) -> Part:
    """The consents, none of them superseded, bound to the request; `bound` as for `evaluate.bind`."""
    trees = [
        BoundTree(root, bound is None or consent.id in bound, consent.id, consent.entry)
        for consent in consents
        for root in _roots(consent, frame)
    ]
    return Part(tuple(trees), tuple(frame.misses))


def _roots(consent: Consent, frame: Frame) -> Iterator[BoundNode]:
    """What the consent comes to for the request, in its state."""
    match consent.state:
        case State.LIVE:
            root = _bind(consent.root, _ANYTHING, consent.period.includes(frame.now_s), consent, frame)
            if root is not None:
                yield root
        case State.STOPPED:
            yield from _tombstones(consent, frame)
        case State.REVOKED:
            gone = _withdrawn(consent, frame)
            if gone is not None:
                frame.misses.append(gone)
        case State.SUPERSEDED:
            pass


def _bind(node: Node, above: Match, in_period: bool, consent: Consent, frame: Frame) -> BoundNode | None:
    match = _overlay(above, node.match)
    in_period = in_period and node.match.period.includes(frame.now_s)
    missed = _missed(node.effect, match, in_period, frame)
    because = Because(consent.id, consent.entry, node.path)
    if node.effect is Effect.PERMIT and missed not in (None, Reason.NO_CONSENT):
        frame.misses.append(Miss(missed, because))
    if missed is not None and frame.contained:
        return None
    inner = (_bind(exception, match, in_period, consent, frame) for exception in node.exceptions)
    exceptions = tuple(bound for bound in inner if bound is not None)
    if missed is not None and not exceptions:
        return None
    return BoundNode(node.effect, missed, match.scopes, frame.labels.rule(match.labels), because, exceptions)


def _overlay(above: Match, match: Match) -> Match:
    """The dimensions that hold for a node below `above`, but for the period."""
    if above is _ANYTHING:
        return match
    return Match(
        match.actors or above.actors,
        match.purposes or above.purposes,
        match.scopes or above.scopes,
        match.labels or above.labels,
    )


def _missed(effect: Effect, match: Match, in_period: bool, frame: Frame) -> Reason | None:
    denies = effect is Effect.DENY
    asker = frame.asker
    named = not match.actors or match.actors & asker.identities
    if not named and not (denies and _may_be_meant(match.actors, asker)):
        return Reason.NO_CONSENT
    if match.purposes and not _for_purpose(match, frame, denies):
        return Reason.PURPOSE
    return None if in_period else Reason.PERIOD


def _may_be_meant(actors: frozenset[str], asker: Asker) -> bool:
    """Whether the asker could be one of `actors` all the same, of a kind that is not known of it."""
    return any(kind_of(actor) not in asker.known for actor in actors)


def _for_purpose(match: Match, frame: Frame, denies: bool) -> bool:
    if frame.purpose is None:
        return denies
    return covers(match.purposes, frame.purpose, frame.purposes)


# --- What is left of a consent that ended ----------------------------------------------------------


def _tombstones(consent: Consent, frame: Frame) -> Iterator[BoundNode]:
    """What a stopped consent denies: to its grantees, for its purposes, everything in its scopes, without
    end and whatever the labels."""
    for path, match in _permits(consent.root, _ANYTHING):
        if _missed(Effect.DENY, match, True, frame) is None:
            because = Because(consent.id, consent.entry, path)
            yield BoundNode(Effect.DENY, None, match.scopes, None, because, stopped=True)


def _withdrawn(consent: Consent, frame: Frame) -> Miss | None:
    """The miss that a revoked consent stands for, if it was about this asker and purpose."""
    if _missed(Effect.DENY, consent.root.match, True, frame) is not None:
        return None
    return Miss(Reason.REVOKED, Because(consent.id, consent.entry, consent.root.path))


def _permits(node: Node, above: Match) -> Iterator[tuple[str, Match]]:
    match = _overlay(above, node.match)
    if node.effect is Effect.PERMIT:
        yield node.path, match
    for exception in node.exceptions:
        yield from _permits(exception, match)
