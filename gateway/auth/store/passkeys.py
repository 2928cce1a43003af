"""Passkeys (WebAuthn Level 3): the public keys that people log in with, and the challenges that were used.

    Passkey        a key of one person: as it was registered, and how often it was used
    UsedChallenge  a challenge that was answered, until it would be over anyway

A challenge is claimed by being put here, which one answer alone does. A counter that goes back is that of a
copy, and is refused (WebAuthn Level 3 section 6.1.1).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete
from sqlmodel import Field, Session, SQLModel, col, select

MOST: Final = 20
"""Passkeys that a person may have."""


class Passkey(SQLModel, table=True):
    """`id` is the credential's; `data` is its attested credential data; `name` is what its owner calls it;
    `count` is its signature counter, which is 0 for one that does not count."""

    __tablename__ = "auth_passkey"

    id: bytes = Field(primary_key=True)
    person: str = Field(foreign_key="auth_account.id", ondelete="CASCADE", index=True)
    name: str
    data: bytes = Field(repr=False)
    count: int
    created_s: int
    used_s: int | None = None


class UsedChallenge(SQLModel, table=True):
    __tablename__ = "auth_used_challenge"

    digest: bytes = Field(primary_key=True)
    exp_s: int = Field(index=True)


TABLES: tuple[type[SQLModel], ...] = (Passkey, UsedChallenge)


def claim_challenge(session: Session, digest: bytes, exp_s: int, now_s: int) -> bool:
    """Whether this is the first answer to the challenge; the transaction keeps others from claiming it."""
    session.execute(delete(UsedChallenge).where(col(UsedChallenge.exp_s) <= now_s))
    if session.get(UsedChallenge, digest) is not None:
        return False
    session.add(UsedChallenge(digest=digest, exp_s=exp_s))
    return True


def passkeys_of(session: Session, person: str) -> list[Passkey]:
    """The oldest first."""
    theirs = select(Passkey).where(Passkey.person == person)
    return list(session.exec(theirs.order_by(col(Passkey.created_s), col(Passkey.id))))


def has_passkey(session: Session, person: str) -> bool:
    return session.exec(select(Passkey.id).where(Passkey.person == person).limit(1)).first() is not None


def add_passkey(session: Session, made: Passkey) -> bool:
    """Whether it was added: False if there is one of this id, or the person has MOST already."""
    if session.get(Passkey, made.id) is not None or len(passkeys_of(session, made.person)) >= MOST:
        return False
    session.add(made)
    return True


def count_use(passkey: Passkey, count: int, now_s: int) -> bool:
    """Whether the counter has gone on, or there is none; then it is kept."""
    if (count or passkey.count) and count <= passkey.count:
        return False
    passkey.count, passkey.used_s = count, now_s
    return True


def remove_passkey(session: Session, credential: bytes, person: str) -> bool:
    """Whether it was this person's."""
    found = session.get(Passkey, credential)
    if found is None or found.person != person:
        return False
    session.delete(found)
    return True


def remove_passkeys_of(session: Session, person: str) -> None:
    session.execute(delete(Passkey).where(col(Passkey.person) == person))
