"""Authorization requests that wait for a person to decide, each as it was checked when it came.

The browser holds an opaque id, here is its SHA-256. A request belongs to the log-in session that opened it
first, and to another only after that one has ended; it is decided once. It lasts WAITS_S from the last
look at it, LONGEST_S at most. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, update
from sqlmodel import Field, Session, SQLModel, col

from gateway.auth.store import sessions

WAITS_S: Final = 10 * 60
LONGEST_S: Final = 60 * 60


class PendingRequest(SQLModel, table=True):
    """`scope` is as asked; `base` is the FHIR base; `auth_after_s` is from when a log-in must be to count;
    `jkt` is the thumbprint of the key that the code is to be bound to; `launch` is the digest of the launch
    value that came with it; `session` names the log-in session; `encounter` is the chosen one of the patient,
    and empty if it was to be none."""

    __tablename__ = "auth_request"

    digest: bytes = Field(primary_key=True)
    client: str
    redirect_uri: str
    state: str | None = None
    scope: str
    base: str
    challenge: str
    nonce: str | None = None
    jkt: str | None = None
    auth_after_s: int = 0
    launch: bytes | None = None
    session: str | None = None
    patient: str | None = None
    encounter: str | None = None
    created_s: int
    exp_s: int = Field(index=True)
    used_s: int | None = None


TABLES: tuple[type[SQLModel], ...] = (PendingRequest,)


def add_request(session: Session, made: PendingRequest) -> None:
    """Adds it, and removes those whose time is over."""
    session.execute(delete(PendingRequest).where(col(PendingRequest.exp_s) <= made.created_s))
    session.add(made)


def waiting_request(session: Session, digest: bytes, now_s: int) -> PendingRequest | None:
    """The request, while nobody has decided it and it is not over."""
    found = session.get(PendingRequest, digest)
    return None if found is None or found.used_s is not None or found.exp_s <= now_s else found


def open_request(session: Session, digest: bytes, login: str, now_s: int) -> PendingRequest | None:
    """The request, now of the session `login`; None if it is another's, decided or over."""
    found = waiting_request(session, digest, now_s)
    if found is None:
        return None
    if found.session != login:
        if found.session is not None and sessions.is_online(session, found.session, now_s):
            return None
        found.session, found.patient, found.encounter = login, None, None
    found.exp_s = max(found.exp_s, min(now_s + WAITS_S, found.created_s + LONGEST_S))
    return found


def choose_patient(session: Session, digest: bytes, login: str, patient: str | None, now_s: int) -> bool:
    """Whether the request, which is of the session `login`, is about that patient now, or nobody yet."""
    mine = _undecided(digest, login, now_s)
    return _changed(session, update(PendingRequest).where(*mine).values(patient=patient, encounter=None))


def choose_encounter(session: Session, digest: bytes, login: str, encounter: str | None, now_s: int) -> bool:
    """Whether the request, which is of the session `login`, is about that encounter now; about none (""), or
    not decided yet."""
    mine = _undecided(digest, login, now_s)
    return _changed(session, update(PendingRequest).where(*mine).values(encounter=encounter))


def claim_request(session: Session, digest: bytes, login: str, now_s: int) -> bool:
    """Whether this is the one time that the request, which is of the session `login`, is decided."""
    mine = _undecided(digest, login, now_s)
    return _changed(session, update(PendingRequest).where(*mine).values(used_s=now_s))


def reopen_request(session: Session, digest: bytes) -> None:
    """Takes a claim back, before anything came of it."""
    session.execute(update(PendingRequest).where(col(PendingRequest.digest) == digest).values(used_s=None))


def _undecided(digest: bytes, login: str, now_s: int) -> tuple[Any, ...]:
    return (
        col(PendingRequest.digest) == digest,
        col(PendingRequest.session) == login,
        col(PendingRequest.used_s).is_(None),
        col(PendingRequest.exp_s) > now_s,
    )


def _changed(session: Session, statement: Any) -> bool:
    return bool(cast("CursorResult[Any]", session.execute(statement)).rowcount)
