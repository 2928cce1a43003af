"""The registered clients: who may ask for tokens, and what they prove it with.

A client's metadata is one JSON text (RFC 7591), which is checked again whenever it is read. Its secret and
its registration access token are ours, of 256 random bits, and kept as SHA-256. An id is never given twice:
consents in the ledger name clients by it, so a removed client leaves its id behind.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Column, String, func
from sqlmodel import Field, Session, SQLModel, col, select

RegisteredBy = Literal["operator", "dynamic"]


class ClientRow(SQLModel, table=True):
    """`secret` and `registration` are digests; `registered_by` is `operator`, or `dynamic` for a client that
    registered itself."""

    __tablename__ = "auth_client"

    id: str = Field(primary_key=True)
    document: str = Field(sa_column=Column("metadata", String, nullable=False))
    secret: bytes | None = Field(default=None, repr=False)
    registration: bytes | None = Field(default=None, repr=False)
    registered_by: str
    created_s: int = Field(index=True)
    disabled_s: int | None = None
    removed_s: int | None = None


TABLES: tuple[type[SQLModel], ...] = (ClientRow,)


def add_client(session: Session, row: ClientRow) -> bool:
    """Whether it was added: False if its id is another's, or was."""
    if session.get(ClientRow, row.id) is not None:
        return False
    session.add(row)
    return True


def client_row(session: Session, client: str) -> ClientRow | None:
    """The client, disabled or not; None if there is none, any more."""
    row = session.get(ClientRow, client)
    return None if row is None or row.removed_s is not None else row


def all_clients(session: Session) -> list[ClientRow]:
    """By id."""
    there = select(ClientRow).where(col(ClientRow.removed_s).is_(None))
    return list(session.exec(there.order_by(col(ClientRow.id))))


def remove_client(row: ClientRow, now_s: int) -> None:
    """Leaves the id, with nothing to be known of the client or proved by it."""
    row.document, row.secret, row.registration, row.removed_s = "{}", None, None, now_s


def registered_themselves(session: Session, since_s: int) -> tuple[int, int]:
    """How many clients are there that registered themselves; how many did from `since_s` on, those removed
    meanwhile included."""
    themselves = select(func.count()).where(col(ClientRow.registered_by) == "dynamic")
    there = session.exec(themselves.where(col(ClientRow.removed_s).is_(None))).one()
    return there, session.exec(themselves.where(col(ClientRow.created_s) >= since_s)).one()
