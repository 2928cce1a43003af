"""What an upstream has to say to a plan: fetched, judged, and its mentions of other records settled.

Nothing here decides or releases. Each answer is judged by the plan's own judge, whole pages of nothing are
gone through, and a mentioned record may speak only if it was itself fetched and judged visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway import errors
from gateway.core.decide import look_ups, next_ask
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import (
    Candidate,
    FactsOf,
    Review,
    candidate_content,
    identify,
    review_page,
    without_banned,
)
from gateway.core.plan import Deny, Plan
from gateway.core.values import Interaction, Ref, UpstreamReply
from gateway.upstream.client import Transport

MAX_EMPTY_PAGES: Final = 20  # upstream pages gone through to find one with something to show


@dataclass(frozen=True, slots=True)
class Gathered:
    """What may be released, and the records whose mention in it may speak."""

    review: Review
    visible: frozenset[Ref]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return self.review.candidates


async def gather(upstream: Transport, bases: Bases, facts_of: FactsOf, plan: Plan) -> Gathered | Deny:
    """Asks what the plan asks.

    Raises:
        UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
        BadRequest: the upstream does not support the search.
    """
    asking = _Asking(upstream, bases, facts_of, plan)
    if plan.request.interaction is Interaction.SEARCH:
        review = await asking.pages()
    else:
        found = await asking.instance()
        if isinstance(found, Deny):
            return found
        review = Review((found,))
    return Gathered(review, await asking.visible(review))


@dataclass(frozen=True, slots=True)
class _Asking:
    upstream: Transport
    bases: Bases
    facts_of: FactsOf
    plan: Plan

    # --- Instances ---------------------------------------------------------------------------------

    async def instance(self) -> Candidate | Deny:
        """The version that was asked for, if the current one may be seen and it may be too: under its own
        owners and its own and the current labels, so that a record that was re-filed or labelled later
        shows nothing of its past. Hidden and missing are denied alike; only the ledger is told which."""
        replies = [await self.upstream.fetch(ask) for ask in self.plan.asks]
        candidate: Candidate | None = None
        for reply, version in zip(replies, (None, self.plan.request.version), strict=False):
            if reply.status != 200:
                return Deny(errors.NotFound(), "not_found")
            facts_of = self.facts_of if candidate is None else _labelled_like(candidate.facts, self.facts_of)
            candidate = identify(reply.body, self.plan.wanted, version, facts_of)
            judgement = self.plan.judge(candidate.facts, candidate_content(candidate))
            if not judgement.visible:
                return Deny(errors.NotFound(), judgement.reason, judgement.because)
        assert candidate is not None, "an instance is always asked for"
        return without_banned(candidate, self.plan.judge.stays)

    # --- Searches ----------------------------------------------------------------------------------

    async def pages(self) -> Review:
        """The next page with something to show. An empty page with a next link would tell of what was
        withheld; so would a next link behind which nothing can be shown, if much can be withheld."""
        if not self.plan.asks:
            return Review((), complete=True)
        [ask] = self.plan.asks
        review = self._page(await self.upstream.fetch(ask), self.plan.required)
        review = await self._skip_empty(review)
        if review.candidates and review.cursor is not None and self.plan.selective:
            ahead = await self._skip_empty(replace(review, candidates=()))
            review = replace(review, cursor=None, complete=True) if _is_end(ahead) else review
        return replace(review, complete=review.complete and not ask.raw_query)

    async def _skip_empty(self, review: Review) -> Review:
        for _ in range(MAX_EMPTY_PAGES):
            if review.candidates or review.cursor is None:
                break
            review = self._page(await self.upstream.fetch(next_ask(self.plan, review.cursor)))
        return review

    def _page(self, reply: UpstreamReply, required: Sequence[tuple[str, str]] = ()) -> Review:
        if reply.status == 400:
            raise errors.BadRequest("The record server does not support this search.")
        if reply.status != 200:
            raise errors.UpstreamUnusable
        kind = self.plan.request.type or ""
        judge = self.plan.judge
        return review_page(reply.body, kind, self.bases, required, self.facts_of, judge, judge.stays)

    # --- Mentions ----------------------------------------------------------------------------------

    async def visible(self, review: Review) -> frozenset[Ref]:
        """The records whose mention may speak: those released here, and those a look-up finds visible."""
        if not any(candidate.facts.mentions for candidate in review.candidates):
            return frozenset()
        resolved: set[Ref] = set()
        for ask in look_ups(self.plan, review.unresolved()):
            reply = await self.upstream.fetch(ask)
            if reply.status != 200:
                continue  # a type that the upstream does not know: its mentions stay masked
            judge = self.plan.judge
            found = review_page(
                reply.body, ask.path[1:], self.bases, (), self.facts_of, judge.sees, judge.stays
            )
            resolved.update(candidate.facts.ref for candidate in found.candidates)
        return review.released() | resolved


def _is_end(review: Review) -> bool:
    return not review.candidates and review.cursor is None


def _labelled_like(current: Facts, facts_of: FactsOf) -> FactsOf:
    def of(raw: bytes) -> Facts:
        facts = facts_of(raw)
        return facts._replace(labels=facts.labels | current.labels)

    return of
