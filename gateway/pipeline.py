"""One read, from the bytes of a request to the bytes of its answer.

Three invariants:
  1  The upstream is asked only with a plan, and only `decide` makes plans.
  2  No byte leaves before its record is durable.
  3  A failure anywhere releases nothing.

Values flow one way; each step uses only what the steps above it made. A request is decided by one reading
of the clock; its entries have the time of their own making.

Whatever is left of a failed step is an error with a public text: `serve` either returns an answer whose
entries are durable, or raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from gateway import errors
from gateway.core.canon import sha256
from gateway.core.consent.egress import EGRESS
from gateway.core.decide import decide, page_binding
from gateway.core.fhir.codec import pretty
from gateway.core.fhir.conditional import entity_tag, modified_s, unchanged
from gateway.core.fhir.release import (
    Cursor,
    build_instance,
    build_searchset,
    is_noticed,
)
from gateway.core.fhir.request import check_refused_body, parse_request
from gateway.core.fhir.telling import Telling
from gateway.core.plan import Deny, Permit, Plan
from gateway.core.record import Draft, Occasion, Outcome, deny_draft, permit_drafts
from gateway.core.released import no_consent
from gateway.core.smart.dpop import Asked
from gateway.core.standing import ConsentView
from gateway.core.studies.leaving import leaving
from gateway.core.studies.study import Study
from gateway.core.values import FhirRequest, Interaction, Token
from gateway.gather import Gathered, gather
from gateway.ledger.reading import Receipt
from gateway.ports import Answer, Incoming, Ports
from gateway.tokens.bearer import Presented, presented
from gateway.tokens.certificate import in_force
from gateway.tokens.pages import Page, gone
from gateway.tokens.proof import Evidence, check_holder

MAX_TURNS: Final = 3  # decisions made anew because a consent changed while the upstream was asked

# Failures after the decision that the ledger keeps as denials; anything else propagates unrecorded.
REASONS: Final[Mapping[type[errors.ConsentryError], str]] = {
    errors.UpstreamUnusable: "upstream",
    errors.UpstreamTimeout: "upstream",
    errors.BadRequest: "unsupported",
    errors.Gone: "page",
}


async def serve(ports: Ports, incoming: Incoming) -> Answer:
    """The answer to one FHIR request, with its entries durable in the ledger.

    Raises:
        BadRequest and its kin: the request is not understood; nothing is recorded.
        Unauthenticated: there is no valid token; nothing is recorded.
        LedgerUnavailable: the consents could not be read or the record not be made.
        StateUnavailable: whether a proof is new cannot be told.
    """
    now_s = ports.now_ms() // 1000
    asked = _parse(ports, incoming)
    if isinstance(asked, FhirRequest) and asked.interaction is Interaction.CAPABILITIES:
        return Answer(200, ports.capabilities, ())  # what we are is no record of anybody's
    shown = presented(incoming.authorization)
    token = await ports.verify(shown.text, ports.audience, now_s)
    if token.confirmation is not None or shown.with_proof:
        _check_holder(ports, incoming, shown, token, now_s)
    _check_in_force(token, ports.consents.at_head()[1])
    occasion = Occasion(ports.new_id(), now_s, ports.policy, token)
    if isinstance(asked, errors.Forbidden):
        check_refused_body(incoming.headers, incoming.body, ports.house.catalogue)
        return await _refuse(ports, occasion, None, Deny(asked, asked.reason), None)
    try:
        return await _answer(ports, occasion, asked)
    except tuple(REASONS) as error:
        denial = Deny(error, REASONS[type(error)])
        return await _refuse(ports, occasion, asked, denial, None)


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
    request, page = _turn_page(ports, asked, occasion.at_s)
    for _ in range(MAX_TURNS):
        mark, view = ports.consents.at_head()
        decision = _decided(ports, occasion, request, page, mark, view)
        if isinstance(decision, Deny):
            return await _refuse(ports, occasion, request, decision, view)
        place = ports.cases.place(occasion.token, decision.plan.judge, mark, view)
        gathered = await gather(ports.upstream, ports.house.bases, ports.facts_of, decision.plan, place)
        if isinstance(gathered, Deny):
            return await _refuse(ports, occasion, request, gathered, view)
        if _still_holds(ports, occasion, decision.plan, page, mark):
            return await _release(ports, occasion, decision.plan, view, gathered)
    raise errors.LedgerUnavailable("The consents are changing; try again.")


def _decided(
    ports: Ports, occasion: Occasion, request: FhirRequest, page: Page | None, mark: int, view: ConsentView
) -> Permit | Deny:
    standing = ports.standings.of(occasion.token, mark, view, ports.house, occasion.at_s)
    if page is None:
        return decide(request, standing)
    decision = decide(request, standing, page.cursor)
    if isinstance(decision, Deny):
        return decision
    # A page was linked for one asker, under these rights and consents.
    same = page_binding(occasion.token, decision.plan) == page.binding
    return decision if same else Deny(gone(), "page")


def _still_holds(ports: Ports, occasion: Occasion, plan: Plan, page: Page | None, mark: int) -> bool:
    """Whether no withdrawal, or other change that concerns the asker, came while the upstream was asked."""
    mark_now, view = ports.consents.at_head()
    if mark_now == mark:
        return True
    _check_in_force(occasion.token, view)
    if not plan.judge.bound.whole:
        return False  # what was judged cannot be compared with what stands now
    decision = _decided(ports, occasion, plan.request, page, mark_now, view)
    if not isinstance(decision, Permit):
        return False
    before, now = plan.judge.bound, decision.plan.judge.bound
    # Records are of others too, whose consents had a say in what was judged.
    if any(before.coverage(patient) != now.coverage(patient) for patient in before.looked_at):
        return False
    return page_binding(occasion.token, decision.plan) == page_binding(occasion.token, plan)


def _check_holder(ports: Ports, incoming: Incoming, shown: Presented, token: Token, now_s: int) -> None:
    """A bound token is for its holder alone (RFC 9449 section 7, RFC 8705 section 3). Raises
    Unauthenticated."""
    # Our address as we publish it: what the client says in Host has no part in it.
    address = ports.house.bases.public + incoming.path.decode("latin-1")
    asked = Asked(incoming.method, address, token.digest)
    evidence = Evidence(incoming.proof, in_force(incoming.certificate, now_s))
    check_holder(token, shown, evidence, asked, now_s, ports.used_proofs)


def _check_in_force(token: Token, consents: ConsentView) -> None:
    """A token of our own may have been ended before its time (RFC 7009). Raises Unauthenticated."""
    if token.issued is not None and consents.is_revoked(token.issued):
        raise errors.Unauthenticated("The token was revoked.")


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
    shape = replace(first.shape, pretty=first.shape.pretty or asked.shape.pretty)
    return replace(first, head=asked.head, shape=shape), page


# --- Release and record ----------------------------------------------------------------------------


async def _release(
    ports: Ports, occasion: Occasion, plan: Plan, view: ConsentView, gathered: Gathered
) -> Answer:
    """Builds what may go, records it, and only then hands it on."""
    request, ceiling = plan.request, plan.judge.ceiling
    study = None if ceiling is None else ceiling.study
    assert study is None or request.interaction is Interaction.SEARCH, "a study reads no single records"
    named = None if study is None else study.id
    shown, labelling = ceiling is not None and ceiling.shows_labels, plan.judge.labelling
    telling = Telling(ports.notice, EGRESS, shown, "" if labelling is None else labelling.classifier)
    tag, modified, known = None, None, False
    if request.interaction is Interaction.SEARCH:
        body = _searchset(ports, occasion, plan, gathered, telling, study)
        digest = sha256(body)
    elif gathered.confirmation is not None:
        body = gathered.confirmation.parameters()
        digest = sha256(body)
    else:
        [candidate] = gathered.candidates
        body = build_instance(candidate, gathered.visible, request.shape, ports.outlines, telling)
        digest = sha256(body)
        tag, modified = entity_tag(digest), modified_s(candidate.facts.updated)
        known = unchanged(tag, modified, request.if_none_match, request.if_modified_since)
    if known or request.shape.pretty:
        body = b"" if known else pretty(body)
        digest = sha256(body)
    outcome = Outcome(304 if known else 200, body, digest, gathered.candidates, named)
    receipts = await _recorded(ports, permit_drafts(occasion, request, outcome, view.get))
    noticed = is_noticed(gathered.candidates, telling)
    return Answer(outcome.status, body, receipts, tag, modified, noticed=noticed)


def _searchset(
    ports: Ports,
    occasion: Occasion,
    plan: Plan,
    gathered: Gathered,
    telling: Telling,
    study: Study | None,
) -> bytes:
    request, public = plan.request, ports.house.bases.public
    here, review = f"{public}/{request.type}", gathered.review
    if study is not None:
        visible, bases = gathered.visible, ports.house.bases.both
        review = leaving(study, review, visible, ports.outlines, telling, bases)
    return build_searchset(
        review,
        gathered.visible,
        request.shape,
        ports.outlines,
        public,
        f"{here}?{urlencode(request.query)}" if request.query else here,
        _next_link(ports, occasion, plan, here, gathered.review.cursor),
        telling,
    )


def _next_link(ports: Ports, occasion: Occasion, plan: Plan, here: str, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    request = plan.request
    page = Page(request.type or "", urlencode(request.query), cursor, page_binding(occasion.token, plan))
    return f"{here}?_page={ports.pages.seal(page, occasion.at_s)}"


async def _refuse(
    ports: Ports, occasion: Occasion, request: FhirRequest | None, denial: Deny, view: ConsentView | None
) -> Answer:
    """A denial to a valid token is an answer too, and is recorded before it leaves."""
    consent_of = no_consent if view is None else view.get
    receipts = await _recorded(ports, [deny_draft(occasion, request, denial, consent_of)])
    return Answer(denial.error.status, b"", receipts, error=denial.error)


async def _recorded(ports: Ports, drafts: Sequence[Draft]) -> tuple[Receipt, ...]:
    """The receipts of all entries. What has none is not recorded, and does not leave."""
    receipts = tuple(await ports.record(drafts))
    if len(receipts) != len(drafts):
        raise errors.LedgerUnavailable
    return receipts
