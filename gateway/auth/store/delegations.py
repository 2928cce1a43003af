"""Log-ins that were begun at another provider, until the browser comes back from there.

What comes back is one answer: to the browser that was sent, from the provider it was sent to, for the `state`
that it was sent with, of which this is the digest. It is claimed by one statement, so it comes back once.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete
from sqlmodel import Field, Session, SQLModel, col

LASTS_S: Final = 15 * 60


class Delegation(SQLModel, table=True):
    """`browser` is the digest of its secret; `next` is what waits for the person, `auth_after_s` from when a
    log-in must be to count for that."""

    __tablename__ = "auth_delegation"

    digest: bytes = Field(primary_key=True)
    browser: bytes
    provider: str
    next: str
    auth_after_s: int
    created_s: int
    exp_s: int = Field(index=True)


TABLES: tuple[type[SQLModel], ...] = (Delegation,)


def add_delegation(session: Session, made: Delegation) -> None:
    """Adds it, and removes those whose time is over."""
    session.execute(delete(Delegation).where(col(Delegation.exp_s) <= made.created_s))
    session.add(made)


def claim_delegation(
    session: Session, digest: bytes, browser: bytes, provider: str, now_s: int
) -> Delegation | None:
    """The log-in, which is gone by that; None if it is unknown, over, or of another browser or provider:
    whose attempt uses nothing up."""
    claimed = session.execute(
        delete(Delegation)
        .where(
            col(Delegation.digest) == digest,
            col(Delegation.browser) == browser,
            col(Delegation.provider) == provider,
            col(Delegation.exp_s) > now_s,
        )
        .returning(Delegation)
    )
    return claimed.scalar_one_or_none()
