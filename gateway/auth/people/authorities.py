"""Who may act for which patient.

Who is a Patient acts for that patient. For another (a child, a parent, somebody in care) a person acts only
under an authority that was recorded, names the relationship, and has an end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlmodel import Session

from gateway.auth.people.registry import Person, known
from gateway.auth.store import people
from gateway.auth.store.database import Database
from gateway.auth.store.people import Authority
from gateway.core.values import is_id
from gateway.errors import BadRequest, NotFound

LONGEST_AUTHORITY_S: Final = 20 * 366 * 24 * 3600
"""A childhood and a little: an authority without an end in sight is looked at again."""

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
    "CAREGIVER": "caregiver",
}


class Authorities:
    """All authorities of one database."""

    def __init__(self, database: Database, new_id: Callable[[], str]) -> None:
        self._database = database
        self._new_id = new_id

    async def allow(
        self, login: str, patient: str, relationship: str, until_s: int, recorded_by: str, now_s: int
    ) -> Authority:
        """Records that the person may act for a patient until then. Raises BadRequest."""
        if not is_id(patient):
            raise BadRequest("The patient is named by a FHIR id: letters, digits, '-' and '.'.")
        if relationship not in RELATIONSHIPS:
            raise BadRequest(f"The relationship is one of {', '.join(RELATIONSHIPS)}.")
        if not now_s < until_s <= now_s + LONGEST_AUTHORITY_S:
            raise BadRequest("An authority ends in the future, within 20 years; record it anew after that.")
        authority = Authority(
            id=self._new_id(),
            person="",
            patient=patient,
            relationship=relationship,
            until_s=until_s,
            recorded_by=recorded_by,
            created_s=now_s,
        )

        def work(session: Session) -> Authority:
            authority.person = known(session, login).id
            session.add(authority)
            return authority

        return await self._database.run(work)

    async def end_authority(self, authority_id: str, now_s: int) -> Authority:
        """Ends it now, if it has not ended. Raises NotFound."""

        def work(session: Session) -> Authority:
            authority = session.get(Authority, authority_id)
            if authority is None:
                raise NotFound("There is no such authority.")
            if authority.ended_s is None:
                authority.ended_s = now_s
            return authority

        return await self._database.run(work)

    async def acts_for(self, person: Person, now_s: int) -> tuple[str, ...]:
        """The ids of the patients whom the person may act for now: themselves first, then by authority."""
        theirs = await self._database.run(lambda session: people.authorities_of(session, person.id))
        own = [person.user.id] if person.user is not None and person.user.type == "Patient" else []
        return tuple(dict.fromkeys(own + [a.patient for a in theirs if people.in_force(a, now_s)]))
