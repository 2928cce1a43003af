"""What an EHR tells of the app it is about to open: who it is for, and which patient, encounter and case.

The app carries an opaque value between the two, here is its SHA-256. It is for one client, one user and one
authorization request, within LASTS_S of its making. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, update
from sqlmodel import Field, Session, SQLModel, col, select

from gateway.auth.store.people import Account

LASTS_S: Final = 5 * 60
KEPT_S: Final = 2 * 60 * 60
"""A used one is kept until no request can refer to it any more."""


class Launch(SQLModel, table=True):
    """`user` is `Type/id`; `base` is the FHIR base; `context` is JSON, what the app is told beside patient
    and encounter: case (`Type/id`), fhirContext, intent, need_patient_banner."""

    __tablename__ = "auth_launch"

    digest: bytes = Field(primary_key=True)
    client: str
    base: str
    user: str
    patient: str | None = None
    encounter: str | None = None
    context: str
    created_s: int = Field(index=True)
    exp_s: int
    used_s: int | None = None


TABLES: tuple[type[SQLModel], ...] = (Launch,)


def add_launch(session: Session, made: Launch) -> None:
    """Adds it, and removes those that nobody can need any more."""
    session.execute(delete(Launch).where(col(Launch.created_s) <= made.created_s - KEPT_S))
    session.add(made)


def claim_launch(session: Session, digest: bytes, client: str, base: str, now_s: int) -> Launch | None:
    """The launch, now used; None if it is unknown, another client's, of another base, over or used already.

    Another client's attempt uses nothing up: it could only be harm to whoever the launch is for.
    """
    mine = (col(Launch.digest) == digest, col(Launch.client) == client, col(Launch.base) == base)
    fresh = (col(Launch.used_s).is_(None), col(Launch.exp_s) > now_s)
    claim = update(Launch).where(*mine, *fresh).values(used_s=now_s)
    claimed = cast("CursorResult[Any]", session.execute(claim)).rowcount
    return session.get(Launch, digest) if claimed else None


def has_user(session: Session, user: str) -> bool:
    """Whether somebody who can log in is this `Type/id`."""
    theirs = (col(Account.user) == user, col(Account.disabled_s).is_(None))
    return session.exec(select(Account.id).where(*theirs)).first() is not None
