"""Which broken glasses are renewed, or about to be: one renewal each, however many ask at the same time.

The ledger says what was renewed; this claim holds from before that entry is made, in every process.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Field, Session, SQLModel, col, delete


class Renewal(SQLModel, table=True):
    """`entry` is that of the glass that is renewed."""

    __tablename__ = "auth_glass_renewal"

    entry: int = Field(primary_key=True)


TABLES: tuple[type[SQLModel], ...] = (Renewal,)


def claim(session: Session, entry: int) -> bool:
    """Whether nobody else renews it; then it is ours."""
    made = cast(
        "CursorResult[Any]", session.execute(insert(Renewal).values(entry=entry).on_conflict_do_nothing())
    )
    return made.rowcount == 1


def give_back(session: Session, entry: int) -> None:
    """For who claimed it and has nothing recorded."""
    session.execute(delete(Renewal).where(col(Renewal.entry) == entry))
