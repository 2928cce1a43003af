"""What an approval comes to: a consent in the ledger, a grant that rests on it, and a code for the client.

In that order, after the request has been claimed, so that it is decided once. A patient, or who acts for
one, gives a consent that names the client at this issuer and nobody else; a professional gives none, and
their tokens are bound by look-up. If the consent cannot be recorded there is no grant; if the grant cannot
be kept the consent is withdrawn again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlmodel import Session

from gateway.auth.approval.cases import Case
from gateway.auth.approval.decision import Decision
from gateway.auth.approval.patients import Subject
from gateway.auth.people.registry import actor_of
from gateway.auth.ports import Ports
from gateway.auth.store.database import digest_of
from gateway.auth.store.grants import Code, Grant
from gateway.consents.draft import Draft, instant
from gateway.core.consent.rule import CLIENT
from gateway.core.smart.algebra import format_scope
from gateway.core.values import ConsentRef, Scope
from gateway.errors import ConsentryError, StateUnavailable

CODE_S: Final = 60  # SMART App Launch 2.2: "usually expiring within around one minute"

log = logging.getLogger("consentry.auth")


async def approve(ports: Ports, case: Case, decision: Decision, style_url: str | None, now_s: int) -> str:
    """The code. The request has been claimed before.

    Raises BadRequest for what the patient's consents do not allow, before anything is recorded;
    LedgerUnavailable, StateUnavailable.
    """
    consent = await _consent(ports, case, decision)
    code = ports.new_secret()
    grant = _grant(ports, case, decision, consent, style_url, now_s)
    held = _code(case, grant, code, now_s)
    # The consent is durable from here on. A crash leaves one that no token rests on; its patient sees it.
    try:
        await ports.database.run(lambda session: keep(session, grant, held))
    except StateUnavailable:
        if consent is not None:
            await _take_back(ports, consent, case)
        raise
    return code


def keep(session: Session, grant: Grant, code: Code) -> None:
    session.add(grant)
    session.flush()  # the code refers to it
    session.add(code)


async def _consent(ports: Ports, case: Case, decision: Decision) -> ConsentRef | None:
    patient = case.patient
    if patient is None or not patient.gives_consent or not decision.granted.scopes:
        return None
    draft = Draft(
        patient=patient.id,
        grantees=(f"{CLIENT}:{case.client.id}@{ports.issuer}",),
        scopes=tuple(dict.fromkeys(map(_about_patient, decision.granted.scopes))),
        purposes=(decision.purpose,),
        until=_written(_until_s(patient, decision)),
    )
    ports.consents.at_head()  # so that it is held against all that the patient has said
    return await ports.service.grant(draft, actor_of(case.who.person), patient.authority)


def _until_s(patient: Subject | None, decision: Decision) -> int:
    """The last second: of the day, or of the authority to decide for the patient."""
    last_s = instant(decision.until.isoformat(), last=True)
    return last_s if patient is None or patient.until_s is None else min(last_s, patient.until_s)


def _written(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _about_patient(scope: Scope) -> str:
    """A consent speaks of one patient's records, at whichever level the app reads them."""
    return scope.text if scope.level == "patient" else format_scope(replace(scope, level="patient"))


async def _take_back(ports: Ports, consent: ConsentRef, case: Case) -> None:
    try:
        ports.consents.at_head()
        await ports.service.revoke(consent.id, "not-completed", actor_of(case.who.person))
    except ConsentryError as error:
        log.error("a consent without a grant stays: %s (%s)", consent.id, type(error).__name__)


def _grant(
    ports: Ports,
    case: Case,
    decision: Decision,
    consent: ConsentRef | None,
    style_url: str | None,
    now_s: int,
) -> Grant:
    person = case.who.person
    return Grant(
        id=ports.new_id(),
        client=case.client.id,
        audience=case.base.url,
        subject=person.id,
        user=None if person.user is None else str(person.user),
        role=person.role,
        organization=None if person.organization is None else person.organization.id,
        patient=None if case.patient is None else case.patient.id,
        consent=None if consent is None else consent.id,
        scope=decision.granted.text,
        purposes=decision.purpose,
        context=json.dumps(_context(case, style_url), separators=(",", ":")),
        online=case.who.session if "online_access" in decision.granted.context else None,
        created_s=now_s,
        until_s=_until_s(case.patient, decision),
    )


def _context(case: Case, style_url: str | None) -> Mapping[str, object]:
    """What the token response says beside the patient (SMART App Launch 2.2, "Launch context")."""
    about = {} if case.encounter is None else {"encounter": case.encounter}
    if case.launch is None:
        return about
    return {
        **json.loads(case.launch.context),
        **about,
        **({"smart_style_url": style_url} if style_url is not None else {}),
    }


def _code(case: Case, grant: Grant, code: str, now_s: int) -> Code:
    return Code(
        digest=digest_of(code),
        grant=grant.id,
        client=case.client.id,
        redirect_uri=case.request.redirect_uri,
        challenge=case.request.challenge,
        nonce=case.request.nonce,
        jkt=case.request.jkt,
        auth_time_s=case.who.auth_time_s,
        exp_s=now_s + CODE_S,
    )
