"""One read, from the bytes of a request to the bytes of its answer.

Three invariants:
  1  The upstream is asked only with a plan, and only `decide` makes plans.
  2  No byte leaves before its record is durable.
  3  A failure anywhere releases nothing.

Values flow one way; each step uses only what the steps above it made, and the clock is read once.
Whatever is left of a failed step is an error with a public text: `serve` either returns an answer whose
entries are durable, or raises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from urllib.parse import urlencode

from gateway import errors
from gateway.core.consent.evaluate import Because
from gateway.core.decide import ConsentView, House, decide, look_ups, next_ask, page_binding
from gateway.core.fhir.codec import pretty
from gateway.core.fhir.conditional import entity_tag, modified_s, unchanged
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import (
    Candidate,
    Cursor,
    FactsOf,
    Outlines,
    Review,
    build_instance,
    build_searchset,
    candidate_content,
    identify,
    review_page,
)
from gateway.core.fhir.request import parse_request
from gateway.core.plan import Deny, Permit, Plan
from gateway.core.record import Draft, Occasion, Outcome, deny_draft, permit_drafts
from gateway.core.values import ConsentRef, FhirRequest, Interaction, Ref, Token, UpstreamReply
from gateway.ledger.reading import Receipt
from gateway.tokens.bearer import bearer_of
from gateway.tokens.pages import Page, PageSealer, gone
from gateway.upstream.client import Transport

MAX_EMPTY_PAGES: Final = 20  # upstream pages gone through to find one with something to show

# Failures after the decision that the ledger keeps as denials; anything else propagates unrecorded.
REASONS: Final[Mapping[type[errors.ConsentryError], str]] = {
    errors.UpstreamUnusable: "upstream",
    errors.UpstreamTimeout: "upstream",
    errors.BadRequest: "unsupported",
    errors.Gone: "page",
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the web layer hands it over: its bytes, and headers known to be single."""

    method: str
    path: bytes
    query: bytes
    headers: Mapping[str, str] = field(repr=False)
    authorization: Sequence[bytes] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves. `error` is the refusal that the web layer renders; then there is no body.

    `tag` is the opaque part of a weak entity tag, `modified` in seconds since the epoch.
    """

    status: int
    body: bytes = field(repr=False)
    receipts: tuple[Receipt, ...]
    tag: str | None = None
    modified: int | None = None
    error: errors.ConsentryError | None = None


class Consents(Protocol):
    """The registry as the walk sees it."""

    def at_head(self) -> tuple[int, ConsentView]:
        """The consents at the ledger head, and a number that changes when they do.

        Raises:
            LedgerUnavailable: the head cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the walk needs of the outside, made by `app`."""

    house: House
    capabilities: bytes
    outlines: Outlines
    facts_of: FactsOf
    audience: str
    policy: str
    max_count: int
    verify: Callable[[str, str, int], Awaitable[Token]]
    consents: Consents
    upstream: Transport
    record: Callable[[Sequence[Draft], int], Awaitable[Sequence[Receipt]]]
    pages: PageSealer
    now_ms: Callable[[], int]
    new_id: Callable[[], str]


async def serve(ports: Ports, incoming: Incoming) -> Answer:
    """The answer to one FHIR request, with its entries durable in the ledger.

    Raises:
        BadRequest and its kin: the request is not understood; nothing is recorded.
        Unauthenticated: there is no valid token; nothing is recorded.
        LedgerUnavailable: the consents could not be read or the record not be made.
    """
    now_ms = ports.now_ms()
    asked = _parse(ports, incoming)
    if isinstance(asked, FhirRequest) and asked.interaction is Interaction.CAPABILITIES:
        return Answer(200, ports.capabilities, ())  # what we are is no record of anybody's
    token = await ports.verify(bearer_of(incoming.authorization), ports.audience, now_ms // 1000)
    occasion = Occasion(ports.new_id(), now_ms, ports.policy, token)
    if isinstance(asked, errors.Forbidden):
        return await _refuse(ports, occasion, "refused", Deny(asked, asked.reason), None)
    try:
        return await _answer(ports, occasion, asked)
    except tuple(REASONS) as error:
        denial = Deny(error, REASONS[type(error)])
        return await _refuse(ports, occasion, str(asked.interaction), denial, None)


def _parse(ports: Ports, incoming: Incoming) -> FhirRequest | errors.Forbidden:
    """What the gateway does not do yet is forbidden, but only a token earns that answer and its record."""
    try:
        return parse_request(
            incoming.method,
            incoming.path,
            incoming.query,
            incoming.headers,
            incoming.body,
            ports.house.catalogue,
            own_bases=(ports.house.bases.public,),
            max_count=ports.max_count,
        )
    except errors.Forbidden as refused:
        return refused


async def _answer(ports: Ports, occasion: Occasion, asked: FhirRequest) -> Answer:
    now_s = occasion.at_ms // 1000
    request, page = _turn_page(ports, asked, now_s)
    cursor = page.cursor if page is not None else None
    mark, view = ports.consents.at_head()
    decision = decide(request, occasion.token, view, ports.house, now_s, cursor)
    if isinstance(decision, Permit) and page is not None and not _same_asker(occasion, decision, page):
        decision = Deny(gone(), "page")
    if isinstance(decision, Deny):
        return await _refuse(ports, occasion, str(request.interaction), decision, view)

    replies = [await ports.upstream.fetch(ask) for ask in decision.plan.asks]
    # A withdrawal that arrived while the upstream was thinking holds for what it answered.
    mark_now, view = ports.consents.at_head()
    if mark_now != mark:
        decision = decide(request, occasion.token, view, ports.house, now_s, cursor)
        if isinstance(decision, Deny):
            return await _refuse(ports, occasion, str(request.interaction), decision, view)
    plan = decision.plan
    if request.interaction is Interaction.SEARCH:
        return await _search_answer(ports, occasion, plan, view, replies)
    return await _instance_answer(ports, occasion, plan, view, replies)


def _same_asker(occasion: Occasion, permit: Permit, page: Page) -> bool:
    """Whether the page was linked for this asker, under these rights and consents."""
    return page_binding(occasion.token, permit.plan) == page.binding


def _turn_page(ports: Ports, asked: FhirRequest, now_s: int) -> tuple[FhirRequest, Page | None]:
    """The search that a page link goes on with: the client's first query, parsed as it was then."""
    if asked.page is None:
        return asked, None
    page = ports.pages.open(asked.page, now_s)
    first = parse_request(
        "GET",
        f"/{page.type}".encode(),
        page.query.encode(),
        {},
        b"",
        ports.house.catalogue,
        own_bases=(ports.house.bases.public,),
        max_count=ports.max_count,
    )
    if asked.type != page.type:
        raise gone()
    return replace(first, head=asked.head), page


# --- Instances -------------------------------------------------------------------------------------


async def _instance_answer(
    ports: Ports, occasion: Occasion, plan: Plan, view: ConsentView, replies: Sequence[UpstreamReply]
) -> Answer:
    request = plan.request
    candidate = _judged(ports, plan, replies)
    if isinstance(candidate, Deny):
        return await _refuse(ports, occasion, str(request.interaction), candidate, view)
    visible = await _visible(ports, plan, Review((candidate,)))
    body = _shaped(request, build_instance(candidate, visible, request.shape, ports.outlines))
    tag, modified = entity_tag(body), modified_s(candidate.facts.updated)
    known = unchanged(tag, modified, request.if_none_match, request.if_modified_since)
    body = b"" if known else body
    outcome = Outcome(304 if known else 200, body, (candidate,), _consents(plan, view, (candidate,)))
    receipts = await ports.record(permit_drafts(occasion, request, outcome), occasion.at_ms)
    return Answer(outcome.status, body, tuple(receipts), tag, modified)


def _judged(ports: Ports, plan: Plan, replies: Sequence[UpstreamReply]) -> Candidate | Deny:
    """The version that was asked for, if the current one may be seen and it may be too: under its own
    owners and its own and the current labels, so that a record that was re-filed or labelled later shows
    nothing of its past. Hidden and missing are denied alike; only the ledger is told which it was."""
    candidate: Candidate | None = None
    for reply, version in zip(replies, (None, plan.request.version), strict=False):
        if reply.status != 200:
            return Deny(errors.NotFound(), "not_found")
        facts_of = ports.facts_of if candidate is None else _labelled_like(candidate.facts, ports.facts_of)
        candidate = identify(reply.body, plan.wanted, version, facts_of)
        judgement = plan.judge(candidate.facts, candidate_content(candidate))
        if not judgement.visible:
            return Deny(errors.NotFound(), judgement.reason, judgement.because)
    assert candidate is not None, "an instance is always asked for"
    return candidate


def _labelled_like(current: Facts, facts_of: FactsOf) -> FactsOf:
    def of(raw: bytes) -> Facts:
        facts = facts_of(raw)
        return replace(facts, labels=facts.labels | current.labels)

    return of


# --- Searches --------------------------------------------------------------------------------------


async def _search_answer(
    ports: Ports, occasion: Occasion, plan: Plan, view: ConsentView, replies: Sequence[UpstreamReply]
) -> Answer:
    review = await _review_pages(ports, plan, replies)
    visible = await _visible(ports, plan, review)
    request = plan.request
    public = ports.house.bases.public
    body = build_searchset(
        review,
        visible,
        request.shape,
        ports.outlines,
        public,
        f"{public}/{request.type}" + (f"?{urlencode(request.query)}" if request.query else ""),
        _next_link(ports, occasion, plan, review.cursor),
    )
    body = _shaped(request, body)
    outcome = Outcome(200, body, review.candidates, _consents(plan, view, review.candidates))
    receipts = await ports.record(permit_drafts(occasion, request, outcome), occasion.at_ms)
    return Answer(200, body, tuple(receipts))


async def _review_pages(ports: Ports, plan: Plan, replies: Sequence[UpstreamReply]) -> Review:
    """Judges one page; goes on while it shows nothing, so that an empty page with a next link does not
    tell of withheld records."""
    if not plan.asks:
        return Review((), complete=True)
    reply, required, first = replies[0], plan.required, not plan.asks[0].raw_query
    kind = plan.request.type or ""
    for _ in range(MAX_EMPTY_PAGES):
        if reply.status == 400:
            raise errors.BadRequest("The record server does not support this search.")
        if reply.status != 200:
            raise errors.UpstreamUnusable
        review = review_page(reply.body, kind, ports.house.bases, required, ports.facts_of, plan.judge)
        if review.candidates or review.cursor is None:
            return replace(review, complete=review.complete and first)
        reply = await ports.upstream.fetch(next_ask(plan, review.cursor))
        required = ()
    return review


def _next_link(ports: Ports, occasion: Occasion, plan: Plan, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    request, kind = plan.request, plan.request.type or ""
    page = Page(kind, urlencode(request.query), cursor, page_binding(occasion.token, plan))
    return f"{ports.house.bases.public}/{kind}?_page={ports.pages.seal(page, occasion.at_ms // 1000)}"


# --- What both share -------------------------------------------------------------------------------


async def _visible(ports: Ports, plan: Plan, review: Review) -> frozenset[Ref]:
    """The records whose mention may speak: those released here, and those a look-up shows to be visible."""
    if not any(candidate.facts.mentions for candidate in review.candidates):
        return frozenset()
    resolved: set[Ref] = set()
    for ask in look_ups(plan, review.unresolved()):
        reply = await ports.upstream.fetch(ask)
        if reply.status != 200:
            continue  # a type that the upstream does not know: its mentions stay masked
        found = review_page(reply.body, ask.path[1:], ports.house.bases, (), ports.facts_of, plan.judge.sees)
        resolved.update(candidate.facts.ref for candidate in found.candidates)
    return review.released() | resolved


def _shaped(request: FhirRequest, body: bytes) -> bytes:
    return pretty(body) if request.shape.pretty else body


def _consents(plan: Plan, view: ConsentView, candidates: Sequence[Candidate]) -> dict[str, ConsentRef]:
    """For each patient the consent that let the first of their records go; none for one's own."""
    found: dict[str, ConsentRef] = {}
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.facts.owners <= seen:
            continue
        seen |= candidate.facts.owners
        because = plan.judge(candidate.facts, candidate_content(candidate)).because
        for patient, ref in _entries(because, view):
            found.setdefault(patient, ref)
    return found


def _entries(because: Iterable[Because], view: ConsentView) -> Iterator[tuple[str, ConsentRef]]:
    """The ledger entries of the consents that decided, with whose they are."""
    for node in because:
        consent = view.get(node.consent_id)
        if consent is not None:
            yield from ((consent.patient, ref) for ref in consent.refs if ref.entry == node.entry)


async def _refuse(
    ports: Ports, occasion: Occasion, interaction: str, denial: Deny, view: ConsentView | None
) -> Answer:
    """A denial to a valid token is an answer too, and is recorded before it leaves."""
    decided = _entries(denial.because, view) if view is not None else iter(())
    consent = next((ref for _, ref in decided), None)
    draft = deny_draft(occasion, interaction, denial.reason, consent)
    receipts = await ports.record([draft], occasion.at_ms)
    return Answer(denial.error.status, b"", tuple(receipts), error=denial.error)
