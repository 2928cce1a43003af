"""The client assertions that were used: each `jti` of a client passes once (RFC 7523 section 3).

Whether one is new is told by the statement that remembers it, so of two processes that are shown the same
assertion at once one refuses it. It may be forgotten when the assertion would be refused for its age anyway.
"""

from __future__ import annotations

from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Field, Session, SQLModel, col

LINGER_S: Final = 60
"""How long one is remembered after its end: a process whose request began earlier has an earlier now."""


class UsedAssertion(SQLModel, table=True):
    __tablename__ = "auth_assertion"

    client: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    exp_s: int = Field(index=True)


TABLES: tuple[type[SQLModel], ...] = (UsedAssertion,)


def first_use(session: Session, client: str, jti: str, exp_s: int, now_s: int) -> bool:
    """Whether the client shows this `jti` for the first time; from now on it is used, until `exp_s`."""
    remember = insert(UsedAssertion).values(client=client, jti=jti, exp_s=exp_s).on_conflict_do_nothing()
    return bool(cast("CursorResult[Any]", session.execute(remember)).rowcount)


def sweep(session: Session, now_s: int) -> None:
    """Forgets those that ended."""
    session.execute(delete(UsedAssertion).where(col(UsedAssertion.exp_s) < now_s - LINGER_S))
