"""Binding a consent to a request: everything is decided that the request settles, actor, purpose and period.

Matching is three-valued: what cannot be told counts as a match for a deny and as none for a permit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.core.consent.bound import NOTHING, Binding, BoundNode, Covered
from gateway.core.consent.inside import every, inside_of
from gateway.core.consent.laid import Laid, LaidNode
from gateway.core.consent.purposes import covers
from gateway.core.consent.rule import Consent, Effect, Match, State
from gateway.core.consent.rules import Rules
from gateway.core.consent.verdict import Asker, Because, Miss, Reason
from gateway.core.values import OPERATIONS


@dataclass(frozen=True, slots=True)
class Frame:
    """The request, for one of its purposes (None: it names none) and one patient; `implied`: whether the
    implicit policy speaks of it."""

    asker: Asker
    purpose: str | None
    now_s: int
    rules: Rules
    implied: bool = False


def passes_by(consent: Consent, frame: Frame) -> bool:
    """Whether it is seen at once that the consent comes to nothing, at any time: a live rule without
    exceptions about somebody else, as most of many consents are."""
    match, asker = consent.root.match, frame.asker
    if consent.state is not State.LIVE or consent.root.exceptions or not match.actors or match.custodians:
        return False
    if (frame.implied and consent.malformed) or not match.actors.isdisjoint(asker.identities):
        return False
    permits = consent.root.effect is Effect.PERMIT
    return (permits and not frame.implied) or not asker.may_be_any(match.actors)


def bind_consent(laid: Laid, frame: Frame) -> Binding:
    """What the consent, which nothing supersedes, comes to in its state."""
    consent = laid.consent
    match consent.state:
        case State.LIVE:
            return _bind_live(laid, frame)
        case State.STOPPED:
            shut = (Miss(Reason.REVOKED, _top(consent)),) if frame.implied else ()
            denies = tuple(laid.met._replace(root=root) for root in _tombstones(laid.root, frame))
            return Binding(denies, shut=shut, covered=_covered(consent) if denies or shut else None)
        case State.REVOKED:
            return Binding(misses=_withdrawn(consent, frame))
        case State.SUPERSEDED:
            return NOTHING


def _bind_live(laid: Laid, frame: Frame) -> Binding:
    consent, span = laid.consent, laid.span(frame.now_s)
    misses: list[Miss] = []
    in_force = consent.period.includes(frame.now_s)
    root = _bind(laid.root, in_force, frame, misses)
    trees = () if root is None else (laid.met if root is laid.root.met else laid.met._replace(root=root),)
    # After one that cannot be understood nothing is implied for its patient, whoever asks.
    shuts = frame.implied and consent.malformed and in_force
    shut = (Miss(Reason.DOUBTFUL, _top(consent)),) if shuts else ()
    return Binding(trees, tuple(misses), shut, span, _covered(consent) if trees or shut else None)


def _bind(laid: LaidNode, in_period: bool, frame: Frame, misses: list[Miss]) -> BoundNode | None:
    node = laid.met
    in_period = in_period and laid.period.includes(frame.now_s)
    met, missed = _meets(laid.match, in_period, frame, node.denies)
    if met and missed is None and not laid.exceptions:
        return node
    if not node.denies and missed not in (None, Reason.NO_CONSENT):
        misses.append(Miss(missed, node.because))
    if met is False and frame.rules.contained:
        return None
    inner = [_bind(exception, in_period, frame, misses) for exception in laid.exceptions]
    exceptions = tuple(bound for bound in inner if bound is not None)
    if missed is not None and not exceptions and not (frame.implied and met is None):
        return None
    return node._replace(met=met, missed=missed, exceptions=exceptions)


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


def _tombstones(laid: LaidNode, frame: Frame) -> Iterator[BoundNode]:
    """What a stopped consent denies: to its grantees, for its purposes, everything in its scopes, classes and
    codes, without end and whatever the labels and dates."""
    met, missed = _meets(laid.match, True, frame, denies=True)
    if not laid.met.denies and missed is None:
        yield laid.met._replace(
            denies=True,
            met=met,
            operations=OPERATIONS,
            labels=None,
            inside=inside_of(replace(laid.match, data_period=None)),
            stopped=True,
        )
    for exception in laid.exceptions:
        yield from _tombstones(exception, frame)


def _withdrawn(consent: Consent, frame: Frame) -> tuple[Miss, ...]:
    """The miss that a revoked consent stands for, if it was about this asker and purpose."""
    _, missed = _meets(consent.root.match, True, frame, denies=True)
    return (Miss(Reason.REVOKED, _top(consent)),) if missed is None else ()


def _covered(consent: Consent) -> Covered:
    # A stop adds no word to the consent, but changes verdicts: it counts as a change of what it says.
    return Covered(consent.id, consent.entry if consent.ended is None else consent.ended.entry)


def _top(consent: Consent) -> Because:
    return Because(consent.id, consent.entry, consent.root.path)
