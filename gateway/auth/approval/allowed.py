"""What a person has allowed apps, as it stands: consents at the ledger's head, and grants that rest on none.

The consents are those of every patient whom the person acts for now, whoever gave them; the grants are the
person's own, by which an app reads what they may read as a professional.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlmodel import Session, col, func, select

from gateway.auth.approval.asking import Clients
from gateway.auth.approval.patients import Subject, acting_for
from gateway.auth.approval.words import Words
from gateway.auth.people.registry import Person
from gateway.auth.ports import Ports
from gateway.auth.store.grants import Code, Grant, Refresh
from gateway.consents.service import ConsentService
from gateway.core.consent.rule import CLIENT, Consent, Effect, State, kind_of
from gateway.core.smart.scopes import ScopeSet
from gateway.core.values import Scope


@dataclass(frozen=True, slots=True)
class Allowed:
    """One thing to withdraw, by the id of the consent or else of the grant. `used` is the last day on which
    the app is known to have got a token."""

    consent: str | None
    grant: str | None
    apps: tuple[str, ...]
    patient: Subject | None
    records: tuple[str, ...]
    purposes: tuple[str, ...]
    until: date | None
    used: date | None


async def all_allowed(
    ports: Ports, clients: Clients, words: Words, person: Person, now_s: int
) -> list[Allowed]:
    """The newest last. Raises LedgerUnavailable, StateUnavailable."""
    ports.consents.at_head()
    found = []
    for subject in await acting_for(ports, person, now_s):
        for consent in consents_for_apps(ports.service, subject.id, now_s):
            found.append(await _of_consent(ports, clients, words, subject, consent))
    for grant in await ports.database.run(lambda session: _grants(session, person, now_s)):
        found.append(await _of_grant(ports, clients, words, grant))
    return found


def consents_for_apps(service: ConsentService, patient: str, now_s: int) -> list[Consent]:
    """The patient's consents in force that permit an app something."""
    return [
        consent
        for consent in service.of_patient(patient)
        if consent.state is State.LIVE
        and (consent.until_s is None or now_s <= consent.until_s)
        and consent.root.effect is Effect.PERMIT
        and any(kind_of(identity) == CLIENT for identity in consent.grantees)
    ]


def own_grant(session: Session, person: Person, grant: str, now_s: int) -> Grant | None:
    """The grant of this id, if it is one of the person's that rest on no consent."""
    return next((found for found in _grants(session, person, now_s) if found.id == grant), None)


def grants_on(session: Session, consent: str) -> list[str]:
    """The ids of the grants that rest on the consent and have not ended."""
    resting = (col(Grant.consent) == consent, col(Grant.ended_s).is_(None))
    return list(session.exec(select(Grant.id).where(*resting)))


async def _of_consent(
    ports: Ports, clients: Clients, words: Words, subject: Subject, consent: Consent
) -> Allowed:
    match = consent.root.match
    named = sorted(identity for identity in consent.grantees if kind_of(identity) == CLIENT)
    held = select(Grant.id).where(col(Grant.consent) == consent.id)
    used_s = await ports.database.run(lambda session: _last_used(session, list(session.exec(held))))
    return Allowed(
        consent=consent.id,
        grant=None,
        apps=tuple([await _name(ports, clients, identity) for identity in named]),
        patient=subject,
        records=described(match.scopes, words),
        purposes=tuple(words.of_purpose(code) for code in sorted(match.purposes)),
        until=_day(consent.until_s),
        used=_day(used_s),
    )


async def _of_grant(ports: Ports, clients: Clients, words: Words, grant: Grant) -> Allowed:
    base = ports.bases.get(grant.audience)
    read = ScopeSet() if base is None else base.served.read(grant.scope)
    used_s = await ports.database.run(lambda session: _last_used(session, [grant.id]))
    return Allowed(
        consent=None,
        grant=grant.id,
        apps=(await _name(ports, clients, f"{CLIENT}:{grant.client}"),),
        patient=None if grant.patient is None else Subject(grant.patient, "as a professional", False),
        records=described(read.resources, words),
        purposes=tuple(words.of_purpose(code) for code in grant.purposes.split()),
        until=_day(grant.until_s),
        used=_day(used_s),
    )


def described(scopes: Iterable[Scope], words: Words) -> tuple[str, ...]:
    """The records of the scopes in plain words, each once."""
    return tuple(dict.fromkeys(_described(scope, words) for scope in scopes))


def _described(scope: Scope, words: Words) -> str:
    name = "All kinds of records, also later ones" if scope.type == "*" else words.of_type(scope.type).name
    part = f": {words.of_part(scope.type, scope.constraints)}" if scope.constraints else ""
    return name + part + (" (may be changed)" if set(scope.operations) & set("cud") else "")


async def _name(ports: Ports, clients: Clients, identity: str) -> str:
    """What a client is called; its id if it is not one of ours (any more)."""
    ident, _, issuer = identity.removeprefix(f"{CLIENT}:").partition("@")
    client = await clients.get(ident) if issuer in ("", ports.issuer) else None
    return identity.removeprefix(f"{CLIENT}:") if client is None else client.name


def _grants(session: Session, person: Person, now_s: int) -> Sequence[Grant]:
    theirs = (col(Grant.subject) == person.id, col(Grant.consent).is_(None))
    live = (col(Grant.ended_s).is_(None), col(Grant.until_s) > now_s)
    return session.exec(select(Grant).where(*theirs, *live).order_by(col(Grant.created_s))).all()


def _last_used(session: Session, grants: Sequence[str]) -> int | None:
    """When a code or a refresh token of these grants was used last, as far as they are still kept."""
    by_code = select(func.max(Code.used_s)).where(col(Code.grant).in_(grants))
    by_refresh = select(func.max(Refresh.used_s)).where(col(Refresh.grant).in_(grants))
    used = [found for query in (by_code, by_refresh) if (found := session.exec(query).one()) is not None]
    return max(used, default=None)


def _day(at_s: int | None) -> date | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).date()
