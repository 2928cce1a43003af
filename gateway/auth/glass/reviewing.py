"""Answering for a broken glass: who reviewed it found it justified or not, and how often it was used.

The reads are counted in the ledger, not taken from whoever reviews. A review is an entry of its own, and the
first one stands.
"""

from __future__ import annotations

import asyncio

from gateway.auth.glass.past import Case, Entries, cases
from gateway.auth.tokens.issuing import Issuing
from gateway.core.canon import Json, b64url
from gateway.core.consent.glass import KINDS, REVIEW, Place, review_facts
from gateway.core.record import Draft
from gateway.errors import BadRequest, LedgerUnavailable, NotFound

_AT_ONCE = 50  # entries opened, at some 50 us each, before others have their turn
_LATE_S = 60  # how long after its token's end a read may be recorded that was decided before


async def review(ports: Issuing, entries: Entries, index: int, reviewer: str, outcome: str) -> Place:
    """The place of the review's entry.

    Raises NotFound for an entry that is no broken glass, BadRequest for one that is reviewed or not over yet
    or that the reviewer broke, LedgerUnavailable.
    """
    case = next((case for case in cases(entries(KINDS, -1)) if case.broken.index == index), None)
    if case is None:
        raise NotFound(f"Entry {index} is no broken glass.")
    if case.review is not None:
        raise BadRequest(f"Entry {index} was reviewed, as entry {case.review.index} says.")
    if reviewer == case.broken.user:
        raise BadRequest(f"Entry {index} is reviewed by somebody else than {reviewer}.")
    if ports.now_ms() // 1000 < case.broken.until_s:
        raise BadRequest(f"Entry {index} lasts until its end; then all that was read is known.")
    facts = review_facts(case.place, reviewer, outcome, await reads_of(entries, case))
    common: dict[str, Json] = {
        "act": reviewer,
        "pat": f"Patient/{case.broken.patient}",
        "pol": ports.policy,
        "rid": ports.new_id(),
    }
    receipts = await ports.record([Draft(REVIEW, case.broken.patient, {**common, **facts})])
    if len(receipts) != 1:
        raise LedgerUnavailable
    return receipts[0].index, b64url(receipts[0].leaf_hash)


async def reads_of(entries: Entries, case: Case) -> int:
    """How many answers went out under the tokens of a broken glass. Others are served meanwhile."""
    tokens: list[object] = []
    reads = 0
    looked_at = entries(frozenset({"token.issue", "read.permit"}), case.broken.index)
    for number, entry in enumerate(looked_at):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if entry.at_s > case.broken.until_s + _LATE_S:
            break
        if entry.kind == "token.issue" and entry.facts.get("bg") == [*case.place]:
            tokens.append([entry.index, b64url(entry.leaf_hash)])
        elif entry.kind == "read.permit" and entry.facts.get("tok") in tokens:
            reads += 1
    return reads
