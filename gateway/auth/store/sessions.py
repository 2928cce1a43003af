"""Browser sessions: who is logged in, since when, and by which factors.

The browser holds a secret, here is its SHA-256. A session that is `pending` has seen a right password and
waits for the second factor; it is nobody's log-in. Each step has a new secret, so that one that somebody
else planted or saw before is worth nothing after it. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, update
from sqlmodel import Field, Session, SQLModel, col, select

LONGEST_S: Final = 12 * 3600
IDLE_S: Final = 30 * 60
PENDING_S: Final = 5 * 60
SEEN_EVERY_S: Final = 60
"""How exact `seen_s` is: not every page is worth a write."""

PASSWORD: Final = "pwd"  # noqa: S105 - a method of RFC 8176
CODE: Final = "otp"
PROVIDER: Final = "provider"
PROVIDER_TWO: Final = "provider-mfa"
PASSKEY: Final = "passkey"
TWO: Final = frozenset({CODE, PROVIDER_TWO, PASSKEY})
"""What only ends a log-in by two factors."""


class BrowserSession(SQLModel, table=True):
    """`id` names it to others, who do not learn the secret; `factor` is the last one, of those above;
    `created_s` is the time of the log-in, which may have been before, at a provider."""

    __tablename__ = "auth_session"

    digest: bytes = Field(primary_key=True)
    id: str = Field(unique=True)
    person: str = Field(foreign_key="auth_account.id", ondelete="CASCADE", index=True)
    factor: str
    pending: bool
    created_s: int
    seen_s: int
    exp_s: int = Field(index=True)
    ended_s: int | None = None


TABLES: tuple[type[SQLModel], ...] = (BrowserSession,)


def begin_session(session: Session, made: BrowserSession) -> None:
    """Adds it, and removes those whose time is over."""
    session.execute(delete(BrowserSession).where(col(BrowserSession.exp_s) <= made.seen_s))
    session.add(made)


def live_session(session: Session, digest: bytes, now_s: int) -> BrowserSession | None:
    """The session, pending or not, now seen; None if it is unknown, ended, over or was idle for too long."""
    found = session.get(BrowserSession, digest)
    if found is None or found.ended_s is not None or found.exp_s <= now_s or found.seen_s + IDLE_S <= now_s:
        return None
    if found.seen_s + SEEN_EVERY_S <= now_s:
        found.seen_s = now_s
    return found


def end_session(session: Session, digest: bytes, now_s: int) -> None:
    found = session.get(BrowserSession, digest)
    if found is not None and found.ended_s is None:
        found.ended_s = now_s


def end_sessions_of(session: Session, person: str, now_s: int, but: str = "") -> None:
    """All of them, but the one that is named so."""
    theirs = (
        col(BrowserSession.person) == person,
        col(BrowserSession.ended_s).is_(None),
        col(BrowserSession.id) != but,
    )
    session.execute(update(BrowserSession).where(*theirs).values(ended_s=now_s))


def is_online(session: Session, session_id: str, now_s: int) -> bool:
    """Whether a grant with `online_access` still lasts: its session was not ended and has time left.

    A browser that rests while its user works in an app does not count against it.
    """
    found = session.exec(select(BrowserSession).where(BrowserSession.id == session_id)).first()
    return found is not None and not found.pending and found.ended_s is None and found.exp_s > now_s
