"""The patients whom a person can open to an app, and in what right.

For themselves, and for whom they have an authority in force, a person gives consent. A professional has the
patients whose consents in force name them or their organisation, and gives none: what the app reads then
rests on those. Nobody is known here but by id: nothing is asked of the record server without a token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session

from gateway.auth.people.authorities import PROFESSIONALS, RELATIONSHIPS
from gateway.auth.people.registry import Person
from gateway.auth.ports import Ports
from gateway.auth.store import people
from gateway.auth.store.people import Authority
from gateway.core.consent.rule import ORGANIZATION, PRACTITIONER, Consent, Effect, State, walk
from gateway.core.standing import ConsentView


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient. `says` is who they are to the person; `gives_consent` is whether the person gives it in
    their name, until `until_s` at most (None: without such a limit), by the authority whose entry is at
    `authority` (index, leaf hash), as their `relationship`."""

    id: str
    says: str
    gives_consent: bool
    until_s: int | None = None
    authority: tuple[int, str] | None = None
    relationship: str | None = None


def is_professional(person: Person) -> bool:
    return person.user is not None and person.user.type in PROFESSIONALS


async def acting_for(ports: Ports, person: Person, now_s: int) -> tuple[Subject, ...]:
    """Those in whose name the person gives consent: themselves first, then by authority."""
    held = await ports.database.run(lambda session: _in_force(session, person, now_s))
    own = person.user.id if person.user is not None and person.user.type == "Patient" else None
    found = {} if own is None else {own: Subject(own, "you", gives_consent=True)}
    for authority in held:
        known = found.get(authority.patient)
        if known is None or (known.until_s is not None and known.until_s < authority.until_s):
            found[authority.patient] = _by(authority)
    return tuple(found.values())


async def subjects(ports: Ports, person: Person, now_s: int) -> tuple[Subject, ...]:
    """All whom the person can choose. Raises LedgerUnavailable."""
    acting = await acting_for(ports, person, now_s)
    if not is_professional(person):
        return acting
    known = {subject.id for subject in acting}
    _, consents = ports.consents.at_head()
    named = sorted(_named(person, consents, now_s) - known)
    return (*acting, *(Subject(patient, "has consented to you", gives_consent=False) for patient in named))


def _in_force(session: Session, person: Person, now_s: int) -> list[Authority]:
    return [a for a in people.authorities_of(session, person.id) if people.in_force(a, now_s)]


def _by(authority: Authority) -> Subject:
    words = RELATIONSHIPS.get(authority.relationship, authority.relationship)
    place = (authority.entry, authority.hash)
    says = f"you are their {words}"
    return Subject(authority.patient, says, True, authority.until_s, place, authority.relationship)


def _named(person: Person, consents: ConsentView, now_s: int) -> set[str]:
    """The patients of whom a consent in force permits something to the professional or whom they work for."""
    identities = frozenset(_identities(person))
    patients = frozenset().union(*map(consents.by_grantee, identities))
    return {p for p in patients if any(_permits(c, identities, now_s) for c in consents.standing(p))}


def _identities(person: Person) -> Iterable[str]:
    if person.user is not None and person.user.type == "Practitioner":
        yield f"{PRACTITIONER}:{person.user.id}"
    if person.organization is not None:
        yield f"{ORGANIZATION}:{person.organization.id}"


def _permits(consent: Consent, identities: frozenset[str], now_s: int) -> bool:
    return (
        consent.state is State.LIVE
        and consent.period.includes(now_s)
        and any(n.effect is Effect.PERMIT and n.match.actors & identities for n in walk(consent.root))
    )
