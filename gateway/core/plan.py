"""A plan: what may be asked of the upstream for one request, and who judges what comes back.

Only `decide` builds plans, permits and denials; everything after it is held to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.consent.evaluate import Because
from gateway.core.drugs import Interactions
from gateway.core.judge import Judge
from gateway.core.values import Ask, FhirRequest, Ref, Term
from gateway.errors import ConsentryError


@dataclass(frozen=True, slots=True)
class Plan:
    """`asks` are sent in order: for a vread the current version comes first. None at all means that the
    answer is an empty page. `required` are the query pairs that an upstream must not have left out.
    `selective`: the judge may withhold, for what they hold, records that the upstream finds. `unasked` are
    the request's terms that the upstream is not asked: they are looked at in what may be shown of a record.
    `interactions` are what a prescription is confirmed by.
    """

    request: FhirRequest
    asks: tuple[Ask, ...]
    required: tuple[tuple[str, str], ...]
    judge: Judge
    selective: bool = False
    unasked: tuple[Term, ...] = ()
    interactions: Interactions | None = None

    @property
    def wanted(self) -> Ref:
        assert self.request.type is not None
        assert self.request.id is not None
        return Ref(self.request.type, self.request.id)


@dataclass(frozen=True, slots=True)
class Permit:
    plan: Plan


@dataclass(frozen=True, slots=True)
class Deny:
    """`error` is what the caller hears, `reason` the code that the ledger keeps."""

    error: ConsentryError
    reason: str
    because: tuple[Because, ...] = ()
