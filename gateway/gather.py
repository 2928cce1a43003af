"""What an upstream has to say to a plan: fetched, judged, and its mentions of other records settled.

Nothing here decides or releases. Each answer is judged by the plan's own judge, whole pages of nothing are
gone through, and a mentioned record may speak only if it was itself fetched and judged visible. Where labels
matter, what the records refer to is looked at first. A record that is shown in part is not found by the part
that is not shown, and terms that the upstream is not asked are looked at in what is shown. What is asked for
by name and not shown, hidden or missing, has the token's case followed anew; so has each search, whatever it
finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway import errors
from gateway.around import Around
from gateway.casebook import Place
from gateway.confirming import confirmed
from gateway.core.asks import look_ups, next_ask
from gateway.core.confirm import Confirmation
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Candidate, candidate_content
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import FactsOf, Review, as_judged, identify, review_page
from gateway.core.fhir.searchset import read_page
from gateway.core.judge import Judge
from gateway.core.judgement import Judgement
from gateway.core.labels.asked import is_excluded, looks_at, without
from gateway.core.labels.labeller import lasting
from gateway.core.plan import Deny, Plan
from gateway.core.values import Interaction, Ref, UpstreamReply
from gateway.upstream.client import Transport

MAX_EMPTY_PAGES: Final = 20  # upstream pages gone through to find one with something to show


@dataclass(frozen=True, slots=True)
class Gathered:
    """What may be released, the records whose mention in it may speak, and the judge, who knows now what the
    records refer to. With a `confirmation` nothing but that may be."""

    review: Review
    visible: frozenset[Ref]
    judge: Judge
    confirmation: Confirmation | None = None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return self.review.candidates


async def gather(
    upstream: Transport, bases: Bases, facts_of: FactsOf, plan: Plan, place: Place | None = None
) -> Gathered | Deny:
    """Asks what the plan asks. `place` is where the token's case is kept; without it nothing is kept.

    Raises:
        UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
        BadRequest: the upstream does not support the search.
    """
    asking = _Asking(upstream, bases, facts_of, plan, Around(upstream, facts_of, plan, place))
    if plan.request.interaction is Interaction.SEARCH:
        review = await asking.pages()
    else:
        found = await asking.instance()
        if isinstance(found, Deny):
            return found
        review = Review((found,))
    if plan.request.interaction is Interaction.CONFIRM:
        answer = await confirmed(upstream, facts_of, plan, review.candidates[0])
        return Gathered(review, frozenset(), asking.around.judge, answer)
    return Gathered(review, await asking.visible(review), asking.around.judge)


@dataclass(frozen=True, slots=True)
class _Asking:
    upstream: Transport
    bases: Bases
    facts_of: FactsOf
    plan: Plan
    around: Around

    # --- Instances ---------------------------------------------------------------------------------

    async def instance(self) -> Candidate | Deny:
        """The version that was asked for, if the current one may be seen and it may be too: under its own
        owners and its own and the current labels, so that a record that was re-filed or labelled later
        shows nothing of its past. Hidden and missing are denied alike; only the ledger is told which."""
        replies = [await self.upstream.fetch(ask) for ask in self.plan.asks]
        candidate: Candidate | None = None
        for reply, version in zip(replies, (None, self.plan.request.version), strict=False):
            if reply.status != 200:
                await self.around.open_case(self.plan.wanted.type, anew=True)  # as for one that is hidden
                return Deny(errors.NotFound(), "not_found")
            facts_of = self.facts_of if candidate is None else self._labelled_like(candidate)
            candidate = identify(reply.body, self.plan.wanted, version, facts_of)
            judgement = await self._judged(candidate)
            if not judgement.visible:
                return Deny(errors.NotFound(), judgement.reason, judgement.because)
            candidate = as_judged(candidate, judgement, self.around.judge.stays)
        assert candidate is not None, "an instance is always asked for"
        return candidate

    async def _judged(self, candidate: Candidate) -> Judgement:
        """The judgement by the case as it is kept; if the record is hidden, by the case as it is now."""
        facts, content = candidate.facts, candidate_content(candidate)
        await self.around.open_case(facts.type)
        judgement = (await self.around.look([(facts, content)]))(facts, content)
        if not judgement.visible and await self.around.open_case(facts.type, anew=True):
            judgement = (await self.around.look([(facts, content)]))(facts, content)
        return judgement

    def _labelled_like(self, current: Candidate) -> FactsOf:
        """`facts_of` for another version of a record: with the labels that the current one has, or that are
        found in it."""
        labels, judge = current.facts.labels, self.around.judge
        if judge.labels_matter(current.facts):
            labels |= lasting(judge.found(current.facts, candidate_content(current)))

        def of(raw: bytes) -> Facts:
            facts = self.facts_of(raw)
            same = facts.line == current.facts.line
            return facts if same else facts._replace(labels=facts.labels | labels)

        return of

    # --- Searches ----------------------------------------------------------------------------------

    async def pages(self) -> Review:
        """The next page with something to show. An empty page with a next link would tell of what was
        withheld; so would a next link behind which nothing can be shown, if much can be withheld."""
        if not self.plan.asks:
            return Review((), complete=True)
        [ask] = self.plan.asks
        review = await self._page(await self.upstream.fetch(ask), self.plan.required)
        review = await self._skip_empty(review)
        if review.candidates and review.cursor is not None and self.plan.selective:
            ahead = await self._skip_empty(replace(review, candidates=()))
            review = replace(review, cursor=None, complete=True) if _is_end(ahead) else review
        return replace(review, complete=review.complete and not ask.raw_query)

    async def _skip_empty(self, review: Review) -> Review:
        for _ in range(MAX_EMPTY_PAGES):
            if review.candidates or review.cursor is None:
                break
            review = await self._page(await self.upstream.fetch(next_ask(self.plan, review.cursor)))
        return review

    async def _page(self, reply: UpstreamReply, required: Sequence[tuple[str, str]] = ()) -> Review:
        if reply.status == 400:
            raise errors.BadRequest("The record server does not support this search.")
        if reply.status != 200:
            raise errors.UpstreamUnusable
        kind = self.plan.request.type or ""
        await self.around.open_case(kind, anew=True)
        judge = await self._look(reply.body)
        review = review_page(reply.body, kind, self.bases, required, self.facts_of, judge, judge.stays)
        return self._met(self._without_asked(review))

    async def _look(self, body: bytes) -> Judge:
        """The judge, knowing what the records of a page refer to."""
        if self.plan.request.interaction is Interaction.SEARCH and not self.plan.selective:
            return self.around.judge
        try:
            found = [Candidate(raw, self.facts_of(raw)) for raw in read_page(body).matches]
        except CodecError as error:
            raise errors.UpstreamUnusable from error
        return await self.around.look([(one.facts, candidate_content(one)) for one in found])

    def _without_asked(self, review: Review) -> Review:
        """The review without records that the search could have found by what is not shown of them."""
        if not any([one.cuts or one.trims for one in review.candidates]):
            return review
        plan, catalogue = self.plan, self.plan.judge.catalogue
        shown = [
            one
            for one in review.candidates
            if not looks_at(plan.request, catalogue, one.withheld, plan.unasked)
        ]
        withheld = Counter(review.withheld)
        withheld["searched"] += len(review.candidates) - len(shown)
        return replace(review, candidates=tuple(shown), withheld=dict(withheld))

    def _met(self, review: Review) -> Review:
        """The review without records that do not meet, by what is shown of them, what the upstream was not
        asked: of a study the constraints of its scopes too."""
        judge, unasked, bases = self.plan.judge, self.plan.unasked, self.bases.both
        study = None if judge.ceiling is None else judge.ceiling.study
        grants = judge.grants(self.plan.request.type or "", judge.operation) if study is not None else ()
        asked = [(*unasked, *scope.constraints) for scope in grants] or [unasked]
        if () in asked:
            return review

        def is_met(one: Candidate) -> bool:
            rest = without(candidate_content(one)(), one.withheld)
            if study is None:
                return not is_excluded(unasked, judge.catalogue, rest, bases)
            return any(study.shows(one.facts, rest, terms, judge.catalogue, bases) for terms in asked)

        return replace(review, candidates=tuple(one for one in review.candidates if is_met(one)))

    # --- Mentions ----------------------------------------------------------------------------------

    async def visible(self, review: Review) -> frozenset[Ref]:
        """The records whose mention may speak: those released here, and those a look-up finds visible."""
        if not any(candidate.facts.mentions for candidate in review.candidates):
            return frozenset()
        resolved: set[Ref] = set()
        unresolved = review.unresolved()
        for ask in look_ups(self.plan, unresolved):
            reply = await self.upstream.fetch(ask)
            if reply.status != 200:
                continue  # a type that the upstream does not know: its mentions stay masked
            kind = ask.path[1:]
            await self.around.open_case(kind)
            found = self._seen(kind, reply.body, await self._look(reply.body))
            asked = {ref for ref in unresolved if ref.type == kind}
            if not asked <= found and await self.around.open_case(kind, anew=True):
                found = self._seen(kind, reply.body, await self._look(reply.body))
            resolved |= found
        return review.released() | resolved

    def _seen(self, kind: str, body: bytes, judge: Judge) -> frozenset[Ref]:
        """The records of a look-up that the token could get at."""
        found = review_page(body, kind, self.bases, (), self.facts_of, judge.sees, judge.stays)
        return found.released()


def _is_end(review: Review) -> bool:
    return not review.candidates and review.cursor is None
