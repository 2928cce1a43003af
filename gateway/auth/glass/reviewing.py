"""Answering for a broken glass: who reviewed it found it justified or not, and how often it was used.

The reads are counted in the ledger, not taken from whoever reviews. A review is an entry of its own, and the
first one stands. Who reviews has an account here, and is another person than the one who broke the glass, for
all that is known.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sqlmodel import Session, col, select

from gateway.auth.glass.breaking import Needs
from gateway.auth.glass.past import Case, Entries, cases
from gateway.auth.people.registry import actor_of, person_of
from gateway.auth.store import people
from gateway.auth.store.people import Account
from gateway.core.canon import Json, b64url
from gateway.core.consent.glass import KINDS, REVIEW, Place, review_facts
from gateway.core.record import Draft
from gateway.errors import BadRequest, LedgerUnavailable, NotFound

NOBODY: Final = (
    "The reviewer has no account here: give a login name, or the Type/id of one (consentry user list)."
)
_ROLE: Final = "PractitionerRole"
_STAFF: Final = ("Practitioner", _ROLE)
_AT_ONCE = 50  # entries opened, at some 50 us each, before others have their turn
_LATE_S = 60  # how long after its token's end a read may be recorded that was decided before


async def review(ports: Needs, entries: Entries, index: int, reviewer: str, outcome: str) -> Place:
    """The place of the review's entry. `reviewer` is the login name of an account in use, or its `Type/id`.

    Raises NotFound for an entry that is no broken glass, BadRequest for one that is reviewed or not over yet
    or that the reviewer broke, and for a reviewer who is not known; LedgerUnavailable, StateUnavailable.
    """
    case = next((case for case in cases(entries(KINDS, -1)) if case.broken.index == index), None)
    if case is None:
        raise NotFound(f"Entry {index} is no broken glass.")
    if case.review is not None:
        raise BadRequest(f"Entry {index} was reviewed, as entry {case.review.index} says.")
    who = await ports.database.run(lambda session: _actor(session, reviewer))
    if who == case.broken.user:
        raise BadRequest(f"Entry {index} is reviewed by somebody else than {who}, who broke the glass.")
    if _may_be_one(who, case.broken.user):
        raise BadRequest("Whose role a PractitionerRole is, is not known: let another account review it.")
    if ports.now_ms() // 1000 < case.broken.until_s:
        raise BadRequest(f"Entry {index} lasts until its end; then all that was read is known.")
    facts = review_facts(case.place, who, outcome, await reads_of(entries, case))
    common: dict[str, Json] = {
        "act": who,
        "pat": f"Patient/{case.broken.patient}",
        "pol": ports.policy,
        "rid": ports.new_id(),
    }
    receipts = await ports.record([Draft(REVIEW, case.broken.patient, {**common, **facts})])
    if len(receipts) != 1:
        raise LedgerUnavailable
    return receipts[0].index, b64url(receipts[0].leaf_hash)


def _actor(session: Session, named: str) -> str:
    """The one account that is named so, as entries name who acts. Raises BadRequest."""
    found = people.by_login(session, named)
    if found is None and "/" in named:
        found = session.exec(
            select(Account).where(Account.user == named, col(Account.disabled_s).is_(None))
        ).first()
    if found is None or found.disabled_s is not None:
        raise BadRequest(NOBODY)
    return actor_of(person_of(found))


def _may_be_one(first: str, second: str) -> bool:
    """Whether two professionals may be one person, as one of them is known by a role alone."""
    kinds = [name.partition("/")[0] for name in (first, second)]
    return _ROLE in kinds and all(kind in _STAFF for kind in kinds)


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
