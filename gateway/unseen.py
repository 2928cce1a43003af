"""Searches for records that nobody sees: something is concluded from them, and they go no further."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from gateway import errors
from gateway.core.fhir import codec
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import FactsOf, next_page
from gateway.core.fhir.searchset import read_page
from gateway.core.judge import Judge
from gateway.core.values import Ask
from gateway.upstream.client import Transport

MAX_PAGES: Final = 20


@dataclass(frozen=True, slots=True)
class Found:
    """The records of the asked type that belong to the patients asked about, or to nobody in particular.
    `whole`: there are no more of them."""

    trees: tuple[Tree, ...]
    whole: bool


async def find(
    upstream: Transport, facts_of: FactsOf, judge: Judge, ask: Ask, patients: Set[str] | None
) -> Found:
    """What a search about `patients` finds, or whosever it is (None), all pages of it.

    Raises:
        UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
    """
    kind, trees = ask.path.removeprefix("/"), list[Tree]()
    for _ in range(MAX_PAGES):
        reply = await upstream.fetch(ask)
        if reply.status != 200:
            return Found(tuple(trees), whole=False)
        try:
            page = read_page(reply.body)
            matches = [(facts_of(raw), raw) for raw in page.matches]
            trees += [codec.parse(raw) for facts, raw in matches if _is_meant(facts, kind, judge, patients)]
        except CodecError as error:
            raise errors.UpstreamUnusable from error
        cursor = next_page(page.links, judge.bases)
        if cursor is None:
            return Found(tuple(trees), whole=True)
        ask = Ask(cursor.path, raw_query=cursor.query)
    return Found(tuple(trees), whole=False)


def _is_meant(facts: Facts, kind: str, judge: Judge, patients: Set[str] | None) -> bool:
    anybodys = patients is None or judge.catalogue.access(kind).kind == "shared"
    return facts.type == kind and (anybodys or not facts.owners.isdisjoint(patients or ()))
