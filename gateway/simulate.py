"""What would become of a request: this token, these bytes, the consents as they are; nothing is asked.

The steps are those of the walk up to the plan, made by the same functions. The upstream is not asked, so
nothing is read that the token could not see, and nothing is recorded. A record that the operator gives is
judged as the answer's would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway import errors
from gateway.consents.preview_view import node_json
from gateway.core.canon import Json
from gateway.core.consent.evaluate import Because
from gateway.core.consent.rule import Consent, Effect, State
from gateway.core.decide import decide
from gateway.core.fhir.candidate import Candidate, candidate_content
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.request import parse_request
from gateway.core.fhir.scan import pointer
from gateway.core.plan import Deny, Plan
from gateway.core.standing import Standing
from gateway.core.values import Ask, FhirRequest, Interaction, Token
from gateway.ports import Ports


@dataclass(frozen=True, slots=True)
class Supposed:
    """A GET of `path` and `query` below the FHIR base with the compact `token`; `record` is a resource that
    the upstream might answer with."""

    path: bytes
    query: bytes
    token: str = field(repr=False)
    record: bytes | None = field(default=None, repr=False)


async def simulate(ports: Ports, supposed: Supposed) -> dict[str, Json]:
    """What would be answered, and which rule says so, as JSON (docs/previews.md, Simulate).

    Raises:
        BadRequest: the record is not a resource, or the address asks for no records.
        LedgerUnavailable: the consents cannot be read.
    """
    now_s = ports.now_ms() // 1000
    request: FhirRequest | errors.Forbidden
    try:
        request = _parsed(ports, supposed)
    except errors.Forbidden as error:  # said to who has a token, and recorded
        request = error
    except errors.ConsentryError as error:
        return _refused("request", error, "")
    try:
        token = await ports.verify(supposed.token, ports.audience, now_s)
    except errors.Unauthenticated as error:
        return _refused("token", error, "")
    _, view = ports.consents.at_head()
    if token.issued is not None and view.is_revoked(token.issued):
        return _refused("token", errors.Unauthenticated("The token was revoked."), "")
    standing = Standing(token, view, ports.house, now_s)
    if isinstance(request, errors.Forbidden):
        return {**_refused("request", request, request.reason), "token": _token(token, standing)}
    decision = decide(request, standing)
    if isinstance(decision, Deny):
        refused = _refused("decision", decision.error, decision.reason, decision.because)
        return {**refused, "token": _token(token, standing)}
    answer: dict[str, Json] = {
        "permitted": True,
        "token": _token(token, standing),
        "patients": [*sorted(decision.plan.judge.patients)],
        "consents": _in_force(decision.plan, standing),
        "asks": [_ask(ask) for ask in decision.plan.asks],
    }
    if supposed.record is not None:
        answer["record"] = _judged(ports, decision.plan, supposed.record)
    return answer


def _parsed(ports: Ports, supposed: Supposed) -> FhirRequest:
    catalogue, bases = ports.house.catalogue, (ports.house.bases.public,)
    request = parse_request(
        "GET", supposed.path, supposed.query, {}, b"", catalogue, own_bases=bases, max_count=ports.max_count
    )
    if request.interaction is Interaction.CAPABILITIES or request.page is not None:
        raise errors.BadRequest("Only reads and first pages of searches are simulated.")
    return request


def _judged(ports: Ports, plan: Plan, raw: bytes) -> dict[str, Json]:
    try:
        facts = ports.facts_of(raw)
    except CodecError as error:
        raise errors.BadRequest(f"The record cannot be used: {error}.") from error
    content = candidate_content(Candidate(raw, facts))
    judgement = plan.judge(facts, content)
    labels = facts.labels | judgement.labels  # a refusal carries none
    if plan.judge.labels_matter(facts):
        labels |= {one.label for one in plan.judge.found(facts, content)}
    cuts, trims = sorted(map(pointer, judgement.cuts)), sorted(map(pointer, judgement.trims or ()))
    return {
        "record": str(facts.ref),
        "patients": [*sorted(facts.owners)],
        "shown": judgement.visible,
        "reason": judgement.reason,
        "nodes": [node_json(node) for node in judgement.because],
        "overridden": [node_json(node) for node in judgement.overridden],
        "labels": [*sorted({label.code for label in labels})],
        "withheld": [*cuts],
        "beyond_role": [*trims],
    }


def _in_force(plan: Plan, standing: Standing) -> list[Json]:
    """The consents that concern who asks, with what each says at its root: which of them decides is a matter
    of each record."""
    bound = plan.judge.bound
    found = {covered for patient in plan.judge.patients for covered in bound.coverage(patient)}
    return [
        {"consent": covered.id, "entry": covered.entry, "effect": _effect(standing.consents.get(covered.id))}
        for covered in sorted(found)
    ]


def _effect(consent: Consent | None) -> Json:
    """What the consent does: one that was stopped denies what it permitted."""
    if consent is None:
        return None
    return (Effect.DENY if consent.state is State.STOPPED else consent.root.effect).value


def _refused(
    step: str, error: errors.ConsentryError, reason: str, because: Sequence[Because] = ()
) -> dict[str, Json]:
    return {
        "permitted": False,
        "step": step,
        "status": error.status,
        "text": error.text,
        "reason": reason or None,
        "nodes": [node_json(node) for node in because],
    }


def _token(token: Token, standing: Standing) -> dict[str, Json]:
    """Who asks, and what the token rests on now; `consents` null: whatever names its bearer."""
    return {
        "client": token.client,
        "user": None if token.fhir_user is None else str(token.fhir_user),
        "patient": token.patient,
        "role": token.role,
        "organization": None if token.organization is None else str(token.organization),
        "case": None if token.root is None else str(token.root),
        "purposes": [*token.purposes],
        "scopes": [scope.text for scope in standing.scopes],
        "consents": None if standing.bound is None else [*sorted(standing.bound)],
    }


def _ask(ask: Ask) -> dict[str, Json]:
    return {"path": ask.path, "query": [[name, value] for name, value in ask.query]}
