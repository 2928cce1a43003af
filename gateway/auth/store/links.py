"""Which account at another provider is which person here.

An account there is named by its provider's issuer, by which claim, and by what that claim says: a new name
for a provider in the configuration changes nothing, and neither a new issuer nor another claim makes old
names mean somebody else.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlmodel import Field, Session, SQLModel, col, select

from gateway.auth.store.people import Account


class Named(NamedTuple):
    """An account at a provider."""

    issuer: str
    claim: str
    subject: str


class Link(SQLModel, table=True):
    __tablename__ = "auth_link"

    issuer: str = Field(primary_key=True)
    claim: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    person: str = Field(foreign_key="auth_account.id", ondelete="CASCADE", index=True)
    created_s: int


TABLES: tuple[type[SQLModel], ...] = (Link,)


def linked(session: Session, named: Named) -> Account | None:
    """The person, disabled or not."""
    link = session.get(Link, named)
    return None if link is None else session.get(Account, link.person)


def by_user(session: Session, user: str) -> Account | None:
    """The one person who is the FHIR resource `user`, `Type/id`; None if nobody or several are."""
    found = session.exec(select(Account).where(Account.user == user).limit(2)).all()
    return found[0] if len(found) == 1 else None


def add_link(session: Session, named: Named, person: str, now_s: int) -> bool:
    """Whether the account there is this person's now: False if it is another's."""
    link = session.get(Link, named)
    if link is None:
        session.add(Link(**named._asdict(), person=person, created_s=now_s))
        return True
    return link.person == person


def remove_link(session: Session, named: Named, person: str) -> bool:
    """Whether it was this person's."""
    link = session.get(Link, named)
    if link is None or link.person != person:
        return False
    session.delete(link)
    return True


def links_of(session: Session, person: str) -> list[Link]:
    theirs = select(Link).where(Link.person == person)
    return list(session.exec(theirs.order_by(col(Link.issuer), col(Link.claim), col(Link.subject))))
