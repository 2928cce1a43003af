"""A consent's tree with everything decided that one request settles: actor, purpose and period.

What is left depends on the record: operation, scope, labels and content. Inheritance is resolved here too, so
each node stands for itself. Matching is three-valued: what cannot be told counts as a match for a deny and as
none for a permit. Branches that cannot apply to this request are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.core.consent.inside import Inside, every, inside_of
from gateway.core.consent.labels import LabelRule
from gateway.core.consent.purposes import BREAK_GLASS, covers
from gateway.core.consent.rule import READING, WRITING, Consent, Effect, Match, Node, State
from gateway.core.consent.rules import Rules
from gateway.core.consent.verdict import Asker, Because, Miss, Reason
from gateway.core.values import OPERATIONS, Scope

_ANYTHING: Final = Match()  # above the top of a tree
_SEEING: Final = "rs"


@dataclass(frozen=True, slots=True)
class BoundNode:
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


@dataclass(frozen=True, slots=True)
class BoundTree:
    """`unusable` is why nobody may rest on the consent's permits, None if the token may; its denies bind in
    any case."""

    root: BoundNode
    unusable: Reason | None
    id: str
    entry: int

    def governs(self, operation: str) -> bool:
        """Whether the consent is about this request, so that what it does not permit is not implied."""
        root = self.root
        return not root.denies and root.met is not False and operation in root.operations


@dataclass(frozen=True, slots=True)
class Part:
    """What one patient's consents come to for one of the purposes asked. `implied`: whether the implicit
    policy speaks of it; `shut` are the consents that keep it from counting."""

    trees: tuple[BoundTree, ...]
    misses: tuple[Miss, ...]
    implied: bool = False
    shut: tuple[Miss, ...] = ()

    @property
    def open(self) -> bool:
        return self.implied and not self.shut


@dataclass(slots=True)
class Frame:
    """The request, for one of its purposes (None: it names none) and one patient; `implied` as for `Part`.
    `misses` are gathered on the way."""

    asker: Asker
    purpose: str | None
    now_s: int
    rules: Rules
    implied: bool = False
    misses: list[Miss] = field(default_factory=list)


def bind_consents(consents: Sequence[Consent], frame: Frame, bound: frozenset[str] | None) -> Part:
    """The consents, none of them superseded, bound to the request; `bound` as for `evaluate.bind`."""
    trees = [
        BoundTree(root, _unusable(consent, bound), consent.id, consent.entry)
        for consent in consents
        for root in _roots(consent, frame)
    ]
    shut = [miss for consent in consents if frame.implied for miss in _shutting(consent, frame)]
    return Part(tuple(trees), tuple(frame.misses), frame.implied, tuple(shut))


def _unusable(consent: Consent, bound: frozenset[str] | None) -> Reason | None:
    if consent.doubtful:
        return Reason.DOUBTFUL
    return None if bound is None or consent.id in bound else Reason.UNBOUND


def _roots(consent: Consent, frame: Frame) -> Iterator[BoundNode]:
    """What the consent comes to for the request, in its state."""
    match consent.state:
        case State.LIVE:
            if _is_others(consent.root, frame):
                return
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


def _is_others(root: Node, frame: Frame) -> bool:
    """Whether a rule without exceptions is about somebody else, as most of many consents are."""
    match = root.match
    if root.exceptions or not match.actors or match.custodians:
        return False
    asker = frame.asker
    if not match.actors.isdisjoint(asker.identities):
        return False
    return (root.effect is Effect.PERMIT and not frame.implied) or not asker.may_be_any(match.actors)


def _bind(node: Node, above: Match, in_period: bool, consent: Consent, frame: Frame) -> BoundNode | None:
    match = overlay(above, node.match)
    in_period = in_period and node.match.period.includes(frame.now_s)
    denies = node.effect is Effect.DENY
    met, missed = _meets(match, in_period, frame, denies)
    because = Because(consent.id, consent.entry, node.path)
    if not denies and missed not in (None, Reason.NO_CONSENT):
        frame.misses.append(Miss(missed, because))
    if met is False and frame.rules.contained:
        return None
    inner = (_bind(exception, match, in_period, consent, frame) for exception in node.exceptions)
    exceptions = tuple(bound for bound in inner if bound is not None)
    if missed is not None and not exceptions and not (frame.implied and met is None):
        return None
    return BoundNode(
        denies,
        met,
        missed,
        _operations(match),
        match.scopes,
        frame.rules.labels.rule(match.labels),
        inside_of(match),
        because,
        exceptions,
        BREAK_GLASS in match.purposes,
    )


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


def _operations(match: Match) -> str:
    """What its actions come to: whoever names one way of reading names reading."""
    if not match.actions:
        return OPERATIONS
    reading, writing = not READING.isdisjoint(match.actions), not WRITING.isdisjoint(match.actions)
    return "".join(letter for letter in OPERATIONS if (reading if letter in _SEEING else writing))


def _meets(match: Match, in_period: bool, frame: Frame, denies: bool) -> tuple[bool | None, Reason | None]:
    """Whether the request meets the dimensions that it settles, and the first that keeps the node from
    applying: one that is not met, or for a permit cannot be told."""
    by_actor = _is_meant(match, frame)
    if by_actor is False:
        return False, Reason.NO_CONSENT
    for_purpose = _for_purpose(match, frame)
    if by_actor and for_purpose and in_period and not match.opaque:
        return True, None
    values = (
        (by_actor, Reason.NO_CONSENT),
        (for_purpose, Reason.PURPOSE),
        (in_period, Reason.PERIOD),
        (None if match.opaque else True, Reason.CONTENT),
    )
    met = every(value for value, _ in values)
    missed = [reason for value, reason in values if value is False or not (value or denies)]
    return met, missed[0] if missed else None


def _is_meant(match: Match, frame: Frame) -> bool | None:
    """Whether the node means who asks, or who holds the record."""
    asker, custodians = frame.asker, frame.rules.custodians
    if not (match.actors or match.custodians) or match.actors & asker.identities:
        return True
    if match.custodians and (custodians is None or match.custodians & custodians):
        return None if custodians is None else True
    return None if asker.may_be_any(match.actors) else False


def _for_purpose(match: Match, frame: Frame) -> bool | None:
    if not match.purposes:
        return True
    return None if frame.purpose is None else covers(match.purposes, frame.purpose, frame.rules.purposes)


# --- What is left of a consent that ended ----------------------------------------------------------


def _tombstones(consent: Consent, frame: Frame) -> Iterator[BoundNode]:
    """What a stopped consent denies: to its grantees, for its purposes, everything in its scopes, classes and
    codes, without end and whatever the labels and dates."""
    for path, match in _permits(consent.root, _ANYTHING):
        met, missed = _meets(match, True, frame, denies=True)
        if missed is None:
            yield BoundNode(
                True,
                met,
                None,
                OPERATIONS,
                match.scopes,
                None,
                inside_of(replace(match, data_period=None)),
                Because(consent.id, consent.entry, path),
                glass=BREAK_GLASS in match.purposes,
                stopped=True,
            )


def _withdrawn(consent: Consent, frame: Frame) -> Miss | None:
    """The miss that a revoked consent stands for, if it was about this asker and purpose."""
    _, missed = _meets(consent.root.match, True, frame, denies=True)
    return None if missed is not None else Miss(Reason.REVOKED, _top(consent))


def _shutting(consent: Consent, frame: Frame) -> Iterator[Miss]:
    """A consent after which nothing is implied for its patient, whoever asks: one that was stopped, or is
    in force and cannot be understood."""
    if consent.state is State.STOPPED:
        yield Miss(Reason.REVOKED, _top(consent))
    if consent.state is State.LIVE and consent.malformed and consent.period.includes(frame.now_s):
        yield Miss(Reason.DOUBTFUL, _top(consent))


def _top(consent: Consent) -> Because:
    return Because(consent.id, consent.entry, consent.root.path)


def _permits(node: Node, above: Match) -> Iterator[tuple[str, Match]]:
    match = overlay(above, node.match)
    if node.effect is Effect.PERMIT:
        yield node.path, match
    for exception in node.exceptions:
        yield from _permits(exception, match)
