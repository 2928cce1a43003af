"""A patient's real records under consents that are not there yet: asked, judged, recorded, then told.

The records are asked with plans of the patient's own right to them, so that a preview reaches nothing that
the patient could not read. The reading is an access like any other: its entry is durable before anything is
told. What is told are references, counts and reasons, never content.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from gateway import errors
from gateway.around import Around
from gateway.consents.draft import Draft as ConsentDraft
from gateway.consents.intake import Drafted
from gateway.consents.preview_view import idle_json, node_json, viewer_json
from gateway.consents.service import OPERATOR, ConsentService
from gateway.core.canon import Json, canonical, sha256_text
from gateway.core.consent.document import format_document
from gateway.core.consent.evaluate import Because
from gateway.core.consent.membership import Membership
from gateway.core.consent.rule import Consent
from gateway.core.decide import decide
from gateway.core.fhir.candidate import Candidate, candidate_content
from gateway.core.fhir.release import Cursor
from gateway.core.fhir.request import parse_request
from gateway.core.plan import Deny, Permit, Plan
from gateway.core.preview import (
    Scene,
    Sight,
    View,
    Viewer,
    idle,
    overruling,
    sights,
    standing_of,
    study_of,
    viewers_of,
    with_draft,
)
from gateway.core.record import Draft
from gateway.core.released import Lines, no_consent
from gateway.core.roles.ceiling import NO_ROLES
from gateway.core.standing import Standing
from gateway.core.values import Ask, FhirRequest, Ref, Scope, Token, UpstreamReply
from gateway.gather import gather
from gateway.ports import Ports
from gateway.upstream.client import Transport

MAX_RECORDS: Final = 10_000  # of one patient; a preview of more says that it is of a part
GATEWAY: Final = "consentry"  # the client that a preview's reading is recorded under
MAX_VIEWERS: Final = 100
BY_THE_PATIENT: Final = "PATRQT"
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What would be, if the patient's consents were `after` in place of `before`. `draft`: the one of `after`
    that is being written, if it is one; `refused` is why it would not be recorded, and `warnings` are
    what there is to know of how it was read."""

    patient: str
    before: Sequence[Consent]
    after: Sequence[Consent]
    viewers: Sequence[Viewer]
    draft: Consent | None = None
    refused: str | None = None
    warnings: Sequence[str] = ()


def drafted(
    service: ConsentService,
    membership: Membership,
    draft: ConsentDraft,
    changed: str | None,
    named: Sequence[Sequence[str]],
) -> Question:
    """What would be if the patient gave `draft`, or it became the new text of the consent `changed`. `named`
    are the viewers' identities; if there are none, everybody is one whom the patient's consents name.

    Raises BadRequest, NotFound.
    """
    if changed is not None:
        service.show(changed)
    found = Drafted(service.drafted(draft, changed), ())
    return read_from(service, membership, found, changed, named)


def read_from(
    service: ConsentService,
    membership: Membership,
    found: Drafted,
    changed: str | None,
    named: Sequence[Sequence[str]],
) -> Question:
    """As `drafted`, for what was read from a FHIR Consent under the id `changed`, or a new one.

    Raises BadRequest, NotFound.
    """
    consent = found.consent
    if changed is not None and service.show(changed).patient != consent.patient:
        raise errors.BadRequest("A consent stays with its patient.")
    before = service.of_patient(consent.patient)
    after = with_draft(before, consent)
    viewers = _viewers(after, named, membership)
    warnings = [str(each) for each in found.warnings]
    return Question(consent.patient, before, after, viewers, consent, service.refusal(consent), warnings)


def comparison(
    service: ConsentService, membership: Membership, first: str, second: str, named: Sequence[Sequence[str]]
) -> Question:
    """What the consent `second` would change if `first` were the only one, and it stood in its place.

    Raises BadRequest, NotFound.
    """
    one, other = service.show(first), service.show(second)
    if one.patient != other.patient:
        raise errors.BadRequest("The consents are of two patients.")
    return Question(one.patient, (one,), (other,), _viewers((one, other), named, membership))


def _viewers(
    consents: Sequence[Consent], named: Sequence[Sequence[str]], membership: Membership
) -> list[Viewer]:
    try:
        found = viewers_of(consents, [tuple(identities) for identities in named], membership)
    except ValueError as error:
        raise errors.BadRequest(f"Who looks cannot be told: {error}.") from error
    if not found:
        raise errors.BadRequest("Name who looks: these consents name nobody.")
    if len(found) > MAX_VIEWERS:
        raise errors.BadRequest(f"More than {MAX_VIEWERS} people and purposes are named; name who looks.")
    return found


@dataclass(frozen=True, slots=True)
class Records:
    """All of a patient's records that one upstream has; of the types in `unread` it gave none."""

    found: Sequence[Candidate]
    unread: Sequence[str]
    whole: bool


async def preview(ports: Ports, issuer: str, question: Question) -> dict[str, Json]:
    """The answer as JSON (docs/previews.md, Preview), after the entry of its reading is durable.

    Raises:
        UpstreamUnusable, UpstreamTimeout: the records could not be read.
        LedgerUnavailable: the reading could not be recorded.
    """
    now_s = ports.now_ms() // 1000
    records = await _read(ports, question.patient, now_s)
    alone = Scene(records.found, {}, {}, ports.house, issuer, now_s)
    answer = await _answer(ports, question, records, await _with_around(ports, question, alone))
    receipts = await ports.record([_entry(ports, question, records, answer)])
    if len(receipts) != 1:
        raise errors.LedgerUnavailable
    return {**answer, "entry": receipts[0].index}


# --- Reading ---------------------------------------------------------------------------------------


async def _read(ports: Ports, patient: str, now_s: int) -> Records:
    _, view = ports.consents.at_head()
    # By the patient's own right, which takes no role, also where tokens have to have one.
    house = replace(ports.house, roles=NO_ROLES)
    standing = Standing(_patients_own(patient, now_s), view, house, now_s)
    found: list[Candidate] = []
    unread: list[str] = []
    for kind in _types(ports):
        try:
            found += await _all_of(ports, standing, kind, MAX_RECORDS - len(found))
        except (errors.BadRequest, errors.UpstreamUnusable):
            unread.append(kind)  # many a server has no records of some type, and says so in its own way
    if not found and len(unread) == len(_types(ports)):
        raise errors.UpstreamUnusable
    return Records(found, unread, whole=len(found) < MAX_RECORDS)


async def _all_of(ports: Ports, standing: Standing, kind: str, most: int) -> list[Candidate]:
    """The patient's records of one type, at most `most`; none of a type that is not served."""
    found: list[Candidate] = []
    cursor: Cursor | None = None
    while len(found) < most:
        decision = decide(_search(ports, kind), standing, cursor)
        if isinstance(decision, Deny):
            break
        gathered = await gather(ports.upstream, ports.house.bases, ports.facts_of, decision.plan)
        assert not isinstance(gathered, Deny), "only an instance is denied when it is there"
        found += gathered.candidates
        cursor = gathered.review.cursor
        if cursor is None:
            break
    return found[:most]


def _search(ports: Ports, kind: str) -> FhirRequest:
    query = f"_count={min(_PAGE, ports.max_count)}".encode()
    bases = (ports.house.bases.public,)
    catalogue = ports.house.catalogue
    return parse_request(
        "GET", f"/{kind}".encode(), query, {}, b"", catalogue, own_bases=bases, max_count=ports.max_count
    )


def _types(ports: Ports) -> list[str]:
    """The types whose records belong to patients and can be asked by patient."""
    access = ports.house.catalogue.access
    return [kind for kind in sorted(ports.house.catalogue.types) if access(kind).narrow is not None]


def _patients_own(patient: str, now_s: int) -> Token:
    return Token(
        issuer="",
        subject=patient,
        client=GATEWAY,
        jti="preview",
        issued_at_s=now_s,
        expires_at_s=now_s + 1,
        scopes=(Scope("patient", "*", "rs", text="patient/*.rs"),),
        purposes=(BY_THE_PATIENT,),
        patient=patient,
        fhir_user=Ref("Patient", patient),
    )


# --- Judging ---------------------------------------------------------------------------------------


async def _with_around(ports: Ports, question: Question, scene: Scene) -> Scene:
    """The scene with what the records refer to, and what rules name, as the viewers' reads would find it out.
    What a record says of itself is the same for all; which are asked for is not."""
    records = [(record.facts, candidate_content(record)) for record in scene.records]
    once = _Once(ports.upstream)
    for consents, viewer in product((question.after, question.before), question.viewers):
        standing = standing_of(viewer, _view(ports, question, consents), scene)
        plan = _any_plan(ports, standing, {facts.type for facts, _ in records})
        if plan is None:
            continue
        judge = await Around(once, ports.facts_of, plan).look(records)
        around, named = {**scene.around, **judge.around}, {**scene.named, **judge.named}
        scene = replace(scene, around=around, named=named, agents={**scene.agents, **judge.agents})
    return scene


class _Once:
    """An upstream that is asked each question once: many viewers' plans put the same ones."""

    def __init__(self, upstream: Transport) -> None:
        self._upstream = upstream
        self._told: dict[Ask, UpstreamReply] = {}

    async def fetch(self, ask: Ask) -> UpstreamReply:
        told = self._told.get(ask)
        if told is None:
            told = self._told[ask] = await self._upstream.fetch(ask)
        return told


def _any_plan(ports: Ports, standing: Standing, kinds: Set[str]) -> Plan | None:
    """A plan of one who may see something of these types."""
    for kind in sorted(kinds):
        decision = decide(_search(ports, kind), standing)
        if isinstance(decision, Permit):
            return decision.plan
    return None


def _view(ports: Ports, question: Question, consents: Sequence[Consent]) -> View:
    _, head = ports.consents.at_head()
    return View(head, question.patient, consents)


async def _answer(ports: Ports, question: Question, records: Records, scene: Scene) -> dict[str, Json]:
    before, after = (_view(ports, question, each) for each in (question.before, question.after))
    all_seen: list[tuple[Viewer, list[Sight]]] = []
    denying: list[Because] = []
    for viewer in question.viewers:
        await asyncio.sleep(0)  # others are served between two viewers
        seen = sights(scene, viewer, before, after)
        all_seen.append((viewer, seen))
        if question.draft is not None:
            only = _view(ports, question, (question.draft,))
            denying += overruling(question.draft, sights(scene, viewer, only, only), seen)
    return {
        "patient": question.patient,
        "records": len(records.found),
        "whole": records.whole,
        "unread": [*records.unread],
        "viewers": [
            viewer_json(viewer, seen, study_of(viewer, question.patient, scene)) for viewer, seen in all_seen
        ],
        "idle": [
            idle_json(consent, node)
            for consent, node in idle(question.after, [sight for _, seen in all_seen for sight in seen])
        ],
        "refused": question.refused,
        "warnings": [*question.warnings],
        "overruled_by": [node_json(node) for node in dict.fromkeys(denying)],
    }


# --- Recording -------------------------------------------------------------------------------------


def _entry(ports: Ports, question: Question, records: Records, answer: Mapping[str, Json]) -> Draft:
    """The entry of the reading: an operator's, for the patient to see, with what was read."""
    told = canonical(dict(answer))
    asked = "\n".join(format_document(each) for each in (*question.before, *question.after))
    facts: dict[str, Json] = {
        "rid": ports.new_id(),
        "pol": ports.policy,
        "cli": GATEWAY,
        "act": OPERATOR,
        "pat": f"Patient/{question.patient}",
        "con": None,
        "tok": None,
        "int": "preview",
        "pou": [BY_THE_PATIENT],
        "rty": dict(sorted(Counter(candidate.facts.type for candidate in records.found).items())),
        "q": sha256_text(asked.encode()),
        "st": 200,
        "len": len(told),
        "bd": sha256_text(told),
    }
    lines = Lines(question.patient, no_consent).text(records.found, None)
    return Draft("read.permit", question.patient, facts, {"rids": lines})
