"""The case of a token, as it is kept with the token or followed anew through the upstream from its root.

What does not come does not belong: a case that cannot be followed has no members. Only what was read whole
and is open is kept; a failure keeps nothing and tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.casebook import KeptCase, Place
from gateway.core.asks import case_ask
from gateway.core.consent.cases import Case, Wish, closure, is_member, window
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Content
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import FactsOf
from gateway.core.plan import Plan
from gateway.core.roles.ceiling import Within
from gateway.core.values import Ref, Term
from gateway.unseen import find
from gateway.upstream.client import Transport


@dataclass(frozen=True, slots=True)
class Opened:
    """`within` tells which records belong to the case, None if it has a time and it is not now;
    `anew`: as it is now."""

    within: Within | None
    anew: bool


async def open_case(
    upstream: Transport, facts_of: FactsOf, plan: Plan, root: Ref, place: Place | None, *, anew: bool
) -> Opened:
    """Tells which records belong to the case of `root`: none, if the role has no such cases or it is not the
    time for it. What is kept at `place` counts unless `anew`, or unless it is of a consultation that is not
    open by it: that one may have been prolonged.

    Raises:
        UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
    """
    judge = plan.judge
    profile = None if judge.ceiling is None else judge.ceiling.profile
    if profile is None or root.type not in profile.roots or judge.catalogue.case(root.type) is None:
        timed = profile is not None and profile.grace_s is not None
        return Opened(None if timed else _nothing, anew=True)
    kept = None if place is None or anew else place.kept(judge.now_s)
    if kept is not None and kept.is_open(judge.now_s):
        return Opened(_within(kept, plan), anew=False)
    reading = _Reading(upstream, facts_of, plan)
    found = await reading.followed(root, profile.grace_s)
    if place is not None and reading.whole:
        place.forget() if found is None else place.keep(found)
    return Opened(None if found is None else _within(found, plan), anew=True)


def _nothing(_facts: Facts, _content: Content) -> bool:
    return False


def _within(found: KeptCase, plan: Plan) -> Within:
    return partial(_belongs, found.case, plan.judge.catalogue, plan.judge.bases)


def _belongs(case: Case, catalogue: Catalogue, bases: Bases, facts: Facts, content: Content) -> bool | None:
    return is_member(case, facts.ref, content(), catalogue, bases.both)


class _Reading:
    """`whole`: all that was asked was answered to the end."""

    def __init__(self, upstream: Transport, facts_of: FactsOf, plan: Plan) -> None:
        self._upstream, self._facts_of, self._plan = upstream, facts_of, plan
        self._answers: dict[Wish, tuple[Tree, ...]] = {}
        self.whole = True

    async def followed(self, root: Ref, grace_s: int | None) -> KeptCase | None:
        """The case of `root` as it is now; None for a consultation (`grace_s`) out of its time."""
        judge = self._plan.judge
        times = None
        if grace_s is not None:
            trees = await self._answer(Wish(root.type, Term("_id", (root.id,))))
            found = [window(tree, judge.catalogue, grace_s) for tree in trees if tree["id"] == root.id]
            times = next((time for time in found if time is not None and time.includes(judge.now_s)), None)
            if times is None:
                return None
        return KeptCase(await self._case(root), times, judge.now_s)

    async def _case(self, root: Ref) -> Case:
        judge = self._plan.judge
        while True:
            step = closure(root, self._answers, judge.catalogue, judge.bases.both)
            if isinstance(step, Case):
                return step
            for wish in step:
                await self._answer(wish)

    async def _answer(self, wish: Wish) -> tuple[Tree, ...]:
        ask, judge = case_ask(self._plan, wish), self._plan.judge
        found = (
            None if ask is None else await find(self._upstream, self._facts_of, judge, ask, judge.patients)
        )
        self.whole = self.whole and (found is None or found.whole)
        self._answers[wish] = () if found is None else found.trees
        return self._answers[wish]
