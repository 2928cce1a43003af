"""Who made a record, as Provenance resources say: `agent.who`, and `agent.onBehalfOf` whom they act for.

Who signed (`signature.who`) vouches for the Provenance and not for the record. R4, R4B and R5 have the same
elements. An agent counts whatever part it had. Nothing raises: what cannot be read is a None among the
agents.
Source: FHIR provenance.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.elements import values_at
from gateway.core.fhir.paths import Path
from gateway.core.fhir.refers import means
from gateway.core.values import Ref

PROVENANCE: Final = "Provenance"

_AGENT: Final = Path.parse("agent")
_WHO: Final = Path.parse("who")
_FOR: Final = Path.parse("onBehalfOf")
_TARGET: Final = Path.parse("target")


def agents_of(provenance: Tree) -> tuple[object, ...]:
    """The agents of one Provenance, as References; never none at all."""
    found: list[object] = []
    for agent in values_at(provenance, _AGENT):
        found += list(values_at(agent, _WHO)) or [None]
        found += values_at(agent, _FOR)
    return tuple(found) or (None,)


def agents_by_record(
    provenances: Iterable[Tree], records: Set[Ref], bases: tuple[str, str]
) -> dict[Ref, tuple[object, ...]]:
    """The agents of all that name a record, for each of `records`; `provenances` are those that were found
    for them. One that may name a record has an agent who cannot be told; so has, for all, one that names
    none."""
    found: dict[Ref, list[object]] = {record: [] for record in records}
    for one in provenances:
        targets = list(values_at(one, _TARGET))
        told = {record: _names(targets, record, bases) for record in records}
        known = any(said is not False for said in told.values())
        for record, said in told.items():
            if said:
                found[record] += agents_of(one)
            elif said is None or not known:
                found[record].append(None)
    return {record: tuple(agents) for record, agents in found.items()}


def _names(targets: Iterable[object], record: Ref, bases: tuple[str, str]) -> bool | None:
    """Whether one of the targets is the record. A server finds by the text of a reference: a target without
    one is not why it was found."""
    said = [means(each, bases, record) for each in targets if isinstance(each, dict) and "reference" in each]
    return True if True in said else None if None in said else False
