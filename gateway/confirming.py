"""A prescription that a pharmacy may see, confirmed by records that it may not.

The four answers of `confirm` leave, and nothing of what they were concluded from. What was not read whole is
taken for the worse.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.asks import confirm_asks, look_ups_around
from gateway.core.confirm import Confirmation, confirm
from gateway.core.drugs import UNKNOWN, Alert, medication_of
from gateway.core.fhir import codec
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.release import FactsOf
from gateway.core.plan import Plan
from gateway.core.values import Ref
from gateway.unseen import Found, find
from gateway.upstream.client import Transport


async def confirmed(upstream: Transport, facts_of: FactsOf, plan: Plan, candidate: Candidate) -> Confirmation:
    """The confirmation of a prescription that was judged visible.

    Raises:
        UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
    """
    prescription, patients = codec.parse(candidate.raw), candidate.facts.owners
    dispenses, orders, statements = [
        await find(upstream, facts_of, plan.judge, ask, patients) for ask in confirm_asks(plan, patients)
    ]
    others = [one for one in (*orders.trees, *statements.trees) if not _is(one, plan.wanted)]
    medications = await _medications(upstream, facts_of, plan, [prescription, *others])
    alert = _alert(plan, prescription, others, medications, whole=orders.whole and statements.whole)
    known = dispenses.trees if dispenses.whole else None
    return confirm(prescription, known, alert, plan.judge.now_s)


def _is(record: Tree, ref: Ref) -> bool:
    return (record["resourceType"], record["id"]) == (ref.type, ref.id)


async def _medications(
    upstream: Transport, facts_of: FactsOf, plan: Plan, records: Iterable[Tree]
) -> dict[Ref, Tree]:
    """The Medications that the records name, as far as they are there."""
    judge = plan.judge
    named = {ref for one in records for ref in medication_of(one, judge.catalogue, judge.bases.both)}
    found: list[Found] = [
        await find(upstream, facts_of, judge, ask, judge.patients) for ask in look_ups_around(plan, named)
    ]
    return {Ref("Medication", tree["id"]): tree for each in found for tree in each.trees}


def _alert(
    plan: Plan, prescription: Tree, others: list[Tree], medications: dict[Ref, Tree], *, whole: bool
) -> Alert:
    judge, interactions = plan.judge, plan.interactions
    assert interactions is not None, "a plan to confirm has them"
    drug, *beside = [
        interactions.drug(one, judge.catalogue, judge.bases.both, medications)
        for one in (prescription, *others)
    ]
    return interactions.alert(drug, beside if whole else [*beside, UNKNOWN])
