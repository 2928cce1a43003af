"""Who of a patient's relatives may agree for the patient, as was recorded: for consents that come as FHIR."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from gateway.auth.store.database import Database
from gateway.auth.store.people import Account, Authority
from gateway.consents.intake import Authority as MayAgree

_RELATIVE = "RelatedPerson/"


async def relatives_of(database: Database, patient: str) -> Sequence[MayAgree]:
    """Every authority that was recorded for the patient (id) and a person who is a RelatedPerson."""
    return await database.run(lambda session: _recorded(session, patient))


def _recorded(session: Session, patient: str) -> list[MayAgree]:
    theirs = (
        select(Account.user, Authority.created_s, Authority.until_s, Authority.ended_s)
        .where(Authority.person == Account.id)
        .where(Authority.patient == patient)
        .where(col(Account.user).startswith(_RELATIVE, autoescape=True))
    )
    return [
        MayAgree((user or "").removeprefix(_RELATIVE), since_s, until_s, ended_s)
        for user, since_s, until_s, ended_s in session.exec(theirs)
    ]
