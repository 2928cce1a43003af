"""The case of a token, followed through the upstream from the root that the token names.

It is followed anew for each answer, so it is never older than the answer. What does not come does not belong:
a case that cannot be followed has no members.
"""

from __future__ import annotations

from functools import partial

from gateway.core.asks import case_ask
from gateway.core.consent.cases import Case, Wish, closure, is_member, window
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import Content, FactsOf
from gateway.core.plan import Plan
from gateway.core.roles.ceiling import Within
from gateway.core.values import Ref, Term
from gateway.unseen import find
from gateway.upstream.client import Transport


async def open_case(upstream: Transport, facts_of: FactsOf, plan: Plan, root: Ref) -> Within:
    """Tells which records belong to the case of `root`: none, if the role has no such cases or it is not the
    time for it.

    Raises:
        UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
    """
    judge = plan.judge
    profile = None if judge.ceiling is None else judge.ceiling.profile
    if profile is None or root.type not in profile.roots or judge.catalogue.case(root.type) is None:
        return _nothing
    reading = _Reading(upstream, facts_of, plan)
    if profile.grace_s is not None and not await reading.is_open(root, profile.grace_s):
        return _nothing
    return partial(_belongs, await reading.case(root), judge.catalogue, judge.bases)


def _nothing(_facts: Facts, _content: Content) -> bool:
    return False


def _belongs(case: Case, catalogue: Catalogue, bases: Bases, facts: Facts, content: Content) -> bool | None:
    return is_member(case, facts.ref, content(), catalogue, bases.both)


class _Reading:
    def __init__(self, upstream: Transport, facts_of: FactsOf, plan: Plan) -> None:
        self._upstream, self._facts_of, self._plan = upstream, facts_of, plan
        self._answers: dict[Wish, tuple[Tree, ...]] = {}

    async def case(self, root: Ref) -> Case:
        judge = self._plan.judge
        while True:
            step = closure(root, self._answers, judge.catalogue, judge.bases.both)
            if isinstance(step, Case):
                return step
            for wish in step:
                await self._answer(wish)

    async def is_open(self, root: Ref, grace_s: int) -> bool:
        """Whether now is in the time of the consultation that `root` is."""
        judge = self._plan.judge
        trees = await self._answer(Wish(root.type, Term("_id", (root.id,))))
        times = [window(tree, judge.catalogue, grace_s) for tree in trees]
        return any(time is not None and time.includes(judge.now_s) for time in times)

    async def _answer(self, wish: Wish) -> tuple[Tree, ...]:
        ask, judge = case_ask(self._plan, wish), self._plan.judge
        found = (
            None if ask is None else await find(self._upstream, self._facts_of, judge, ask, judge.patients)
        )
        self._answers[wish] = () if found is None else found.trees
        return self._answers[wish]
