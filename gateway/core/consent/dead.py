"""Whether a consent would have no effect: another one denies all that it permits, for as long as it lasts.

Only what holds for every record is found out, so a yes is certain and a no is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from gateway.core.canon import MAX_SAFE_INT
from gateway.core.consent.evaluate import Asker, Rules, bind
from gateway.core.consent.laid import overlay
from gateway.core.consent.purposes import BREAK_GLASS
from gateway.core.consent.rule import (
    KINDS,
    RESOURCE_TYPES,
    WRITING,
    Consent,
    Effect,
    Match,
    Node,
    Period,
    walk,
)
from gateway.core.consent.rules import OPT_IN
from gateway.core.consent.verdict import Because

_ANY_OTHER: Final = ""  # a purpose, an identity or a type that no rule can name
_Span = tuple[int, int]


def silencing(standing: Consent, consent: Consent, now_s: int, rules: Rules = OPT_IN) -> tuple[Because, ...]:
    """The nodes of `standing`, not superseded, that deny everything that `consent` permits from now on.

    Empty if something of it is left, or if it permits nothing.
    """
    return _over_all(standing, consent, Effect.PERMIT, now_s, rules)


def repeated(standing: Consent, consent: Consent, now_s: int, rules: Rules = OPT_IN) -> bool:
    """Whether `standing` denies everything that `consent` denies from now on, whoever asks and what for."""
    nodes = {node.effect for node in walk(consent.root)}
    if Effect.DENY not in nodes:
        return True
    # Who is not named could be one of those to whom a permit of its own applies.
    unbroken = all(node.effect is Effect.DENY for node in walk(standing.root))
    return unbroken and bool(_over_all(standing, consent, Effect.DENY, now_s, rules))


def _over_all(
    standing: Consent, consent: Consent, effect: Effect, now_s: int, rules: Rules
) -> tuple[Because, ...]:
    whole = _within((now_s, MAX_SAFE_INT), consent.period)
    named = [found for found in _nodes(consent.root, None, whole) if found[0] is effect]
    over = [_over(standing, match, span, rules) for _, match, span in named]
    if not over or not all(over):
        return ()
    return tuple(sorted({because for nodes in over for because in nodes}, key=lambda node: node.node_path))


def _nodes(node: Node, above: Match | None, span: _Span) -> Iterator[tuple[Effect, Match, _Span]]:
    """Each node's effect, what it names, and its first and last second; those that never apply are left
    out."""
    match = node.match if above is None else overlay(above, node.match)
    span = _within(span, node.match.period)
    if span[0] > span[1]:
        return
    yield node.effect, match, span
    for exception in node.exceptions:
        yield from _nodes(exception, match, span)


def _within(span: _Span, period: Period) -> _Span:
    first, last = span
    return (
        first if period.from_s is None else max(first, period.from_s),
        last if period.until_s is None else min(last, period.until_s),
    )


def _over(standing: Consent, match: Match, span: _Span, rules: Rules) -> tuple[Because, ...]:
    """The nodes that deny all of what is named, from its first second to its last; empty if some of it is
    left."""
    if match.custodians or BREAK_GLASS in match.purposes:
        return ()
    within = rules.labels.rule(match.labels)
    found: list[Because] = []
    actors, purposes = match.actors or {_ANY_OTHER}, match.purposes or {_ANY_OTHER}
    for actor, purpose, (kind, letter) in product(actors, purposes, list(_uses(match))):
        asker = Asker(_forms(actor), known=KINDS, purposes=(purpose,))
        both_ends = [
            bind(lambda _: (standing,), asker, at_s, None, rules).barred(
                standing.patient, kind, letter, within
            )
            for at_s in span
        ]
        throughout = [because for because in both_ends[0] if because in both_ends[1]]
        if not throughout:
            return ()
        found += throughout
    return tuple(found)


def _uses(match: Match) -> Iterator[tuple[str, str]]:
    """The types and operations that the permit is for; `_ANY_OTHER` stands for a type it does not name."""
    types = {kind.code for kind in match.classes if kind.system == RESOURCE_TYPES}
    if any(kind.system != RESOURCE_TYPES for kind in match.classes):
        types.add(_ANY_OTHER)
    for scope in match.scopes:
        yield from ((scope.type, operation) for operation in scope.operations)
    if not match.scopes:
        letters = "r" if WRITING.isdisjoint(match.actions) else "ru"
        yield from product(sorted(types or {_ANY_OTHER}), letters)


def _forms(actor: str) -> frozenset[str]:
    """The identities of who is meant: a client of one issuer is also the client."""
    return frozenset({actor, actor.partition("@")[0]})
