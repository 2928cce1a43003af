"""Who may act for which patient, and what a grant rests on while it is renewed.

Who is a Patient acts for that patient. For another (a child, a parent, somebody in care) a person acts only
under an authority that is recorded in the ledger, names the relationship, and has an end. The entry comes
first: what is not recorded is no authority. An end holds in our database first, so that it does not wait for
the ledger; whoever ends it again records what is missing.
"""

from __future__ import annotations

import re
from calendar import isleap
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from sqlmodel import Session, and_, col, select

from gateway.auth.people.registry import Person, actor_of, known, person_of
from gateway.auth.store import grants, people
from gateway.auth.store.database import Database
from gateway.auth.store.grants import Grant
from gateway.auth.store.people import Authority
from gateway.core.canon import Json, b64url
from gateway.core.record import Draft
from gateway.core.values import is_id
from gateway.errors import BadRequest, NotFound
from gateway.ledger.reading import Receipt

GRANTED: Final = "authority.grant"
ENDED: Final = "authority.end"
LONGEST_AUTHORITY_S: Final = 20 * 366 * 24 * 3600
"""A childhood and a little: an authority without an end in sight is looked at again."""
PROFESSIONALS: Final = ("Practitioner", "PractitionerRole")

CARING: Final = "CAREGIVER"
"""Those who look after somebody in everyday things alone."""
RELATIONSHIPS: Final = {
    # HL7 v3 RoleCode
    "PRN": "parent",
    "MTH": "mother",
    "FTH": "father",
    "GUARD": "guardian",
    "SPS": "spouse",
    "CHILD": "child",
    "SIB": "sibling",
    "FAMMEMB": "family member",
    "RESPRSN": "responsible party",
    "POWATT": "power of attorney",
    "DPOWATT": "durable power of attorney",
    "HPOWATT": "healthcare power of attorney",
    "SPOWATT": "special power of attorney",
    # HL7 v3 RoleClass
    CARING: "caregiver",
}

BRINGING_UP: Final = frozenset({"PRN", "MTH", "FTH", "GUARD"})
"""Those who act for a child because it is one."""
_EASTMOST_S: Final = 14 * 3600
_BIRTH: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)

Record = Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]


@dataclass(frozen=True, slots=True)
class Basis:
    """In what right a grant goes on, until before `until_s` at most: one's own, or the authority whose entry
    is at `authority` (index, leaf hash), of who is the patient's `relationship` (a code of
    `RELATIONSHIPS`)."""

    until_s: int
    authority: tuple[int, str] | None = None
    relationship: str | None = None


class Authorities:
    """All authorities of one database. `record` is durable when it returns."""

    def __init__(self, database: Database, new_id: Callable[[], str], record: Record, policy: str) -> None:
        self._database = database
        self._new_id = new_id
        self._record = record
        self._policy = policy

    async def allow(
        self,
        login: str,
        patient: str,
        relationship: str,
        until_s: int,
        recorded_by: str,
        now_s: int,
        of_age_s: int | None = None,
    ) -> Authority:
        """Records that the person may act for a patient until then; who brings up a child, until the second
        before `of_age_s` at most. Raises BadRequest, NotFound, LedgerUnavailable."""
        if not is_id(patient):
            raise BadRequest("The patient is named by a FHIR id: letters, digits, '-' and '.'.")
        if relationship not in RELATIONSHIPS:
            raise BadRequest(f"The relationship is one of {', '.join(RELATIONSHIPS)}.")
        if relationship in BRINGING_UP and of_age_s is not None:
            if of_age_s <= now_s:
                raise BadRequest("The patient is of age, and gives whoever acts for them another authority.")
            until_s = min(until_s, of_age_s - 1)
        if not now_s < until_s <= now_s + LONGEST_AUTHORITY_S:
            raise BadRequest("An authority ends in the future, within 20 years; record it anew after that.")
        person = await self._database.run(lambda session: person_of(known(session, login)))
        facts: dict[str, Json] = {"who": actor_of(person), "rel": relationship, "exp": until_s}
        receipt = await self._recorded(GRANTED, patient, facts, recorded_by)
        # Commit point: a crash from here on leaves an entry of an authority that nobody has.
        authority = Authority(
            id=self._new_id(),
            person=person.id,
            patient=patient,
            relationship=relationship,
            until_s=until_s,
            recorded_by=recorded_by,
            entry=receipt.index,
            hash=b64url(receipt.leaf_hash),
            created_s=now_s,
        )
        await self._database.run(lambda session: session.add(authority))
        return authority

    async def end_authority(self, authority_id: str, now_s: int, ended_by: str = "operator") -> Authority:
        """Ends it now, if it has not ended, and the grants that nothing else carries; `ending.finish` tells
        of their tokens. Raises NotFound, LedgerUnavailable."""
        ended = await self._database.run(lambda session: _end(session, authority_id, now_s))
        if ended.end_entry is None:
            facts: dict[str, Json] = {"prv": [ended.entry, ended.hash]}
            receipt = await self._recorded(ENDED, ended.patient, facts, ended_by)
            ended.end_entry = receipt.index
            await self._database.run(lambda session: session.merge(ended))
        return ended

    async def acts_for(self, person: Person, now_s: int) -> tuple[str, ...]:
        """The ids of the patients whom the person may act for now: themselves first, then by authority."""
        theirs = await self._database.run(lambda session: people.authorities_of(session, person.id))
        own = [person.user.id] if person.user is not None and person.user.type == "Patient" else []
        return tuple(dict.fromkeys(own + [a.patient for a in theirs if people.in_force(a, now_s)]))

    async def _recorded(self, kind: str, patient: str, facts: dict[str, Json], by: str) -> Receipt:
        common: dict[str, Json] = {"pat": f"Patient/{patient}", "act": by}
        whole = {**common, "pol": self._policy, "rid": self._new_id(), **facts}
        [receipt] = await self._record([Draft(kind, patient, whole)])
        return receipt


def comes_of_age_s(born: str, age: int) -> int:
    """The first second at which somebody born then may be of that age: where the day begins first, and on the
    first day of a month or year that is all that is known. Raises BadRequest for what is no date."""
    found = _BIRTH.fullmatch(born)
    try:
        if found is None:
            raise ValueError("not a date")
        year, month, day = (int(part or 1) for part in found.groups())
        date(year, month, day)
        leapless = (month, day) == (2, 29) and not isleap(year + age)
        birthday = datetime(year + age, month, 28 if leapless else day, tzinfo=UTC)
    except ValueError as error:
        raise BadRequest("A birth date is one such as 2015-05-17, or its year and month.") from error
    return int(birthday.timestamp()) - _EASTMOST_S


def basis(session: Session, grant: Grant, now_s: int) -> Basis | None:
    """In what right who allowed the grant still does so; None if in none any more.

    A professional's grant that rests on no consent rests on none of theirs either: what it reads is what the
    patients permit them when it reads.
    """
    kind = (grant.user or "").partition("/")[0]
    is_own = grant.user == f"Patient/{grant.patient}"
    if grant.patient is None or is_own or (grant.consent is None and kind in PROFESSIONALS):
        return Basis(grant.until_s)
    held = people.authorities_of(session, grant.subject)
    carrying = [a for a in held if a.patient == grant.patient and people.in_force(a, now_s)]
    if not carrying:
        return None
    longest = max(carrying, key=lambda authority: authority.until_s)
    place = (longest.entry, longest.hash)
    return Basis(min(grant.until_s, longest.until_s + 1), place, longest.relationship)


def lapsed(session: Session, now_s: int) -> list[str]:
    """The ids of grants whose authority is over by its end, and that nothing else carries."""
    carried = and_(col(Authority.person) == Grant.subject, col(Authority.patient) == Grant.patient)
    live = (col(Grant.ended_s).is_(None), col(Grant.until_s) > now_s, col(Authority.until_s) < now_s)
    found = session.exec(select(Grant).join(Authority, carried).where(*live).distinct()).all()
    return sorted(grant.id for grant in found if basis(session, grant, now_s) is None)


def _end(session: Session, authority_id: str, now_s: int) -> Authority:
    authority = session.get(Authority, authority_id)
    if authority is None:
        raise NotFound("There is no such authority.")
    if authority.ended_s is None:
        authority.ended_s = now_s
        session.flush()
    theirs = [g for g in grants.grants_of(session, authority.person) if g.patient == authority.patient]
    grants.end_grants(session, [g for g in theirs if not _is_carried(session, g, now_s)], now_s)
    return authority


def _is_carried(session: Session, grant: Grant, now_s: int) -> bool:
    """Whether something carries the grant still, and each of its tokens to its end."""
    left = basis(session, grant, now_s)
    alive = grants.live_access(session, grant.id, now_s)
    return left is not None and all(access.exp_s <= left.until_s for access in alive)
