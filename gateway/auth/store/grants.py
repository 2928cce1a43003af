"""What was approved, and what it was turned into: grants, their codes, refresh tokens and access tokens.

    Grant        one approval: a client, perhaps for a person, with its scopes and context
    Code         presented once at the token endpoint; presented twice, the whole grant ends (RFC 6749 4.1.2)
    Refresh      presented once, and followed by its successor; a used one that comes back ends the grant,
                 unless it was used a moment ago and no successor was: the answer may have been lost
    Access       the ledger entry of a token that was issued, so that ending the grant can name it

A grant ends and never comes back. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, delete, update
from sqlmodel import Field, Session, SQLModel, col, select

GRACE_S = 10


class Grant(SQLModel, table=True):
    """`context` is a JSON object: what goes into each token response beside the tokens and `patient`;
    `until_s` ends refreshing. `user` is a reference, `organization` another or an id."""

    __tablename__ = "auth_grant"

    id: str = Field(primary_key=True)
    client: str = Field(index=True)
    audience: str
    subject: str
    user: str | None = None
    role: str | None = None
    organization: str | None = None
    patient: str | None = Field(default=None, index=True)
    consent: str | None = None
    scope: str
    purposes: str
    context: str
    online: str | None = None
    """The session that an `online_access` grant lasts as long as."""
    confirmation: str | None = None
    """What the one who may refresh holds (RFC 9449 section 5, RFC 8705 section 4), as `Confirmation.text`."""
    created_s: int
    until_s: int
    ended_s: int | None = None


class Code(SQLModel, table=True):
    __tablename__ = "auth_code"

    digest: bytes = Field(primary_key=True)
    grant: str = Field(foreign_key="auth_grant.id", ondelete="CASCADE")
    client: str
    redirect_uri: str
    challenge: str
    nonce: str | None = None
    jkt: str | None = None
    """The thumbprint of the key whose holder alone may exchange it (RFC 9449 section 10)."""
    auth_time_s: int
    exp_s: int
    used_s: int | None = None


class Refresh(SQLModel, table=True):
    __tablename__ = "auth_refresh"

    digest: bytes = Field(primary_key=True)
    grant: str = Field(foreign_key="auth_grant.id", ondelete="CASCADE", index=True)
    client: str
    before: bytes | None = Field(default=None, index=True)
    """The one that it follows."""
    exp_s: int
    used_s: int | None = None


class Access(SQLModel, table=True):
    __tablename__ = "auth_access"

    entry: int = Field(primary_key=True)
    hash: str
    grant: str = Field(foreign_key="auth_grant.id", ondelete="CASCADE", index=True)
    exp_s: int


TABLES: tuple[type[SQLModel], ...] = (Grant, Code, Refresh, Access)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was presented had been used before; its grant has to end."""

    grant: str


def claim_code(session: Session, digest: bytes, client: str, now_s: int) -> Code | Replayed | None:
    """The code, now used; `Replayed` if it was used already; None if it is unknown, another client's or over.

    Another client's attempt uses nothing up: it could only be harm to whoever the code is for.
    """
    mine = (col(Code.digest) == digest, col(Code.client) == client)
    fresh = (col(Code.used_s).is_(None), col(Code.exp_s) > now_s)
    claimed = _changed(session, update(Code).where(*mine, *fresh).values(used_s=now_s))
    code = session.exec(select(Code).where(*mine)).first()
    if claimed or code is None:
        return code
    return Replayed(code.grant) if code.used_s is not None else None


def claim_refresh(session: Session, digest: bytes, client: str, now_s: int) -> Refresh | Replayed | None:
    """As `claim_code`; one that was used within the last GRACE_S is given out again, until a successor of
    it is used: then its answer had come."""
    mine = (col(Refresh.digest) == digest, col(Refresh.client) == client)
    fresh = (col(Refresh.used_s).is_(None), col(Refresh.exp_s) > now_s)
    claimed = _changed(session, update(Refresh).where(*mine, *fresh).values(used_s=now_s))
    token = session.exec(select(Refresh).where(*mine)).first()
    if claimed or token is None:
        return token
    if token.used_s is None or token.exp_s <= now_s:
        return None
    lost = now_s - token.used_s <= GRACE_S and not _was_followed(session, digest)
    return token if lost else Replayed(token.grant)


def give_back(session: Session, claimed: Code | Refresh) -> None:
    """Makes it fresh again, for the one who claimed it and gave nothing for it."""
    kind = type(claimed)
    session.execute(update(kind).where(col(kind.digest) == claimed.digest).values(used_s=None))


def note_access(session: Session, access: Access, successor: Refresh | None, now_s: int) -> bool:
    """Notes what a grant is turned into; False, and nobody must get it, if the grant ended meanwhile."""
    if live_grant(session, access.grant, now_s) is None:
        return False
    session.add(access)
    if successor is not None:
        session.add(successor)
    return True


def has_given(session: Session, grant: str) -> bool:
    """Whether the grant was turned into a token yet."""
    kinds = ((Access, Access.grant), (Refresh, Refresh.grant))
    return any(session.exec(select(kind).where(of == grant)).first() is not None for kind, of in kinds)


def refresh_of(session: Session, digest: bytes) -> Refresh | None:
    """Whoever's it is, used or not."""
    return session.get(Refresh, digest)


def end_grant(session: Session, grant: str, now_s: int) -> list[Access]:
    """Ends it, if it had not ended, and gives its access tokens whose withdrawal is still to be recorded."""
    live = (col(Grant.id) == grant, col(Grant.ended_s).is_(None))
    session.execute(update(Grant).where(*live).values(ended_s=now_s))
    session.execute(delete(Refresh).where(col(Refresh.grant) == grant))
    return live_access(session, grant, now_s)


def end_grants(session: Session, found: Iterable[Grant], now_s: int) -> None:
    """Ends them; `unfinished` has what is still to be recorded."""
    for grant in found:
        end_grant(session, grant.id, now_s)


def grants_of(session: Session, subject: str) -> list[Grant]:
    """What a person or service was granted and has not ended."""
    theirs = (col(Grant.subject) == subject, col(Grant.ended_s).is_(None))
    return list(session.exec(select(Grant).where(*theirs).order_by(col(Grant.id))))


def live_access(session: Session, grant: str, now_s: int) -> list[Access]:
    """The access tokens of a grant that have not expired."""
    alive = select(Access).where(Access.grant == grant, Access.exp_s > now_s)
    return list(session.exec(alive.order_by(col(Access.entry))))


def forget_access(session: Session, entries: Sequence[int]) -> None:
    """For those whose withdrawal is in the ledger."""
    session.execute(delete(Access).where(col(Access.entry).in_(entries)))


def unfinished(session: Session, now_s: int, subject: str | None = None) -> list[str]:
    """Grants that ended, of everybody or of one `subject`, and have access tokens whose withdrawal is still
    to be recorded."""
    ended = select(Access.grant).join(Grant).where(col(Grant.ended_s).is_not(None), Access.exp_s > now_s)
    theirs = ended if subject is None else ended.where(col(Grant.subject) == subject)
    return sorted(set(session.exec(theirs)))


def remove_expired(session: Session, now_s: int) -> None:
    """Removes what can neither be used nor be replayed any more."""
    for kind in (Code, Refresh, Access):
        session.execute(delete(kind).where(col(kind.exp_s) <= now_s))


def live_grant(session: Session, grant: str, now_s: int) -> Grant | None:
    found = session.get(Grant, grant)
    return found if found is not None and found.ended_s is None and found.until_s > now_s else None


def _was_followed(session: Session, digest: bytes) -> bool:
    used = select(Refresh.digest).where(col(Refresh.before) == digest, col(Refresh.used_s).is_not(None))
    return session.exec(used).first() is not None


def _changed(session: Session, statement: Any) -> bool:
    return bool(cast("CursorResult[Any]", session.execute(statement)).rowcount)
