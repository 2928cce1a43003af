"""What a consent has to say before it opens the records of a substance use programme (42 CFR 2.31(a)).

Who the patient is, every consent says; who may disclose are those who hold the records here, or the
custodians that it names; and it describes the records by their label. What it may lack is who gets them and
what for.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.consent.laid import overlay
from gateway.core.consent.rule import Effect, Match, Node
from gateway.core.consent.statute import PROGRAMME


def lacking(root: Node) -> tuple[str, ...]:
    """What is missing, a sentence part for each of the permits that name the label; of a tree that may be
    recorded nothing is."""
    return tuple(_lacking(root, Match()))


def _lacking(node: Node, above: Match) -> Iterator[str]:
    match = overlay(above, node.match)
    if node.effect is Effect.PERMIT and any(_code(label) == PROGRAMME.upper() for label in match.labels):
        for missing, what in ((not match.actors, "to whom"), (not match.purposes, "what for")):
            if missing:
                yield f"permits records of a 42 CFR Part 2 programme without saying {what} ({node.path})"
    for exception in node.exceptions:
        yield from _lacking(exception, match)


def _code(label: str) -> str:
    return label.rpartition("|")[2].upper()
