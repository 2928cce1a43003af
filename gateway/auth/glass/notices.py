"""Who has to know that the glass was broken: the patient, and the privacy officer.

A notice is written down before the token exists, and stays until whoever the operator named has taken it.
What is sent names the patient, who broke the glass, until when and for which reason, and no record.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlmodel import Field, Session, SQLModel, col, select

from gateway.auth.store.database import Database
from gateway.core.canon import Json
from gateway.errors import Cause

RECIPIENTS: Final = ("patient", "privacy-officer")
AGAIN_AFTER_S: Final = 60
KEPT_S: Final = 366 * 24 * 3600  # of one that was taken

Send = Callable[[dict[str, Json]], Awaitable[None]]
"""Gives one notice to whom the operator named. Raises Cause for any way in which it was not taken."""

log = logging.getLogger("consentry.auth")


class Notice(SQLModel, table=True):
    __tablename__ = "auth_glass_notice"

    entry: int = Field(primary_key=True)
    recipient: str = Field(primary_key=True)
    hash: str
    patient: str
    user: str
    name: str
    reason: str
    at_s: int
    until_s: int
    next_s: int
    taken_s: int | None = None


TABLES: tuple[type[SQLModel], ...] = (Notice,)


@dataclass(frozen=True, slots=True)
class Told:
    """What a notice is of: the entry, whose records, and who broke the glass (as entries name them, and by
    name)."""

    entry: int
    hash: str
    patient: str
    user: str
    name: str
    at_s: int
    until_s: int


def add(session: Session, told: Told, reason: str) -> None:
    for recipient in RECIPIENTS:
        session.add(
            Notice(
                entry=told.entry,
                recipient=recipient,
                hash=told.hash,
                patient=told.patient,
                user=told.user,
                name=told.name,
                reason=reason,
                at_s=told.at_s,
                until_s=told.until_s,
                next_s=told.at_s,
            )
        )


def of_patient(session: Session, patient: str) -> list[Notice]:
    """What the patient is to know, the newest first."""
    theirs = (col(Notice.patient) == patient, col(Notice.recipient) == "patient")
    return list(session.exec(select(Notice).where(*theirs).order_by(col(Notice.entry).desc())))


async def deliver(database: Database, send: Send, now_s: int) -> int:
    """Sends what is due; how many were not taken. Those are sent again in a minute."""
    missed = 0
    for notice in await database.run(lambda session: _due(session, now_s)):
        try:
            await send(as_json(notice))
        except Cause as cause:
            log.warning("A notice of break-glass (entry %d) was not taken: %s", notice.entry, cause)
            missed += 1
        else:
            await database.run(partial(_took, sent=notice, now_s=now_s))
    return missed


def as_json(notice: Notice) -> dict[str, Json]:
    return {
        "event": "break-glass",
        "recipient": notice.recipient,
        "patient": f"Patient/{notice.patient}",
        "user": notice.user,
        "name": notice.name,
        "reason": notice.reason,
        "at": notice.at_s,
        "until": notice.until_s,
        "entry": notice.entry,
        "hash": notice.hash,
    }


def _due(session: Session, now_s: int) -> list[Notice]:
    """Those to be sent now, by nobody else: they are due again when this attempt must be over."""
    waiting = (col(Notice.taken_s).is_(None), col(Notice.next_s) <= now_s)
    due = list(session.exec(select(Notice).where(*waiting).order_by(col(Notice.entry))))
    for notice in due:
        notice.next_s = now_s + AGAIN_AFTER_S
    return due


def _took(session: Session, sent: Notice, now_s: int) -> None:
    session.get_one(Notice, (sent.entry, sent.recipient)).taken_s = now_s
    for old in session.exec(select(Notice).where(col(Notice.taken_s) < now_s - KEPT_S)):
        session.delete(old)
