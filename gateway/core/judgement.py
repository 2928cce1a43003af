"""What a judge says of one record: whether it may be seen, by which consents, and what of it stays behind.

A value that travels with the record to its release and into the ledger; it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.consent.verdict import Because
from gateway.core.fhir.scan import Place
from gateway.core.fhir.security import Basis
from gateway.core.values import Label


@dataclass(frozen=True, slots=True)
class Judgement:
    """`because` names the consent nodes that decided; `reason` is a code of `docs/walk.md`.

    `cuts` are the places that a consent withholds in a resource that may be seen, `trims` those that are more
    than the role needs (None: a role that keeps the type whole, or no role); `left` the labels of what
    remains, None for those of the whole resource. `labels` are those that were weighed, `overridden` the
    denies that a broken glass passed over; `told` are those found in what is shown, for a role that
    is told labels.
    """

    visible: bool
    reason: str
    because: tuple[Because, ...] = ()
    cuts: tuple[Place, ...] = ()
    trims: tuple[Place, ...] | None = None
    left: frozenset[Label] | None = None
    overridden: tuple[Because, ...] = ()
    labels: frozenset[Label] = frozenset()
    told: tuple[Basis, ...] = ()


MYSELF = Judgement(True, "self")
HIDDEN_TYPE = Judgement(False, "type")
OUT_OF_SCOPE = Judgement(False, "scope")
NOBODYS = Judgement(False, "no_owner")
OUT_OF_ROLE = Judgement(False, "role")
