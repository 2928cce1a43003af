"""Who can log in here, and whom they may act for.

    Account      a person: a login name, a password's hash, perhaps a second factor, a FHIR resource
    Authority    that a person may act for a patient, from its recording until its end

Login names are ASCII and one whatever their case. Passwords are argon2id hashes, TOTP secrets are sealed
under a key that is not in the database. Nobody is deleted: what they did is told by their id.
"""

from __future__ import annotations

from sqlalchemy import Column, String
from sqlmodel import Field, Session, SQLModel, col, select


class Account(SQLModel, table=True):
    """`password` is a PHC string, or empty for who has none; `user` and `organization` are `Type/id`;
    `totp_step` is the last time step whose code was used."""

    __tablename__ = "auth_account"

    id: str = Field(primary_key=True)
    login: str = Field(sa_column=Column(String(collation="NOCASE"), nullable=False, unique=True))
    password: str = Field(repr=False)
    name: str
    user: str | None = None
    role: str | None = None
    organization: str | None = None
    totp: bytes | None = Field(default=None, repr=False)
    totp_step: int | None = None
    created_s: int
    disabled_s: int | None = None


class Authority(SQLModel, table=True):
    """`until_s` is its last second; `recorded_by` is `operator` or a person's id. `entry` and `hash` are the
    place of its entry in the ledger, `end_entry` the index of that of its end."""

    __tablename__ = "auth_authority"

    id: str = Field(primary_key=True)
    person: str = Field(foreign_key="auth_account.id", ondelete="CASCADE", index=True)
    patient: str
    relationship: str
    until_s: int
    recorded_by: str
    entry: int
    hash: str
    created_s: int
    ended_s: int | None = None
    end_entry: int | None = None


TABLES: tuple[type[SQLModel], ...] = (Account, Authority)


def add_account(session: Session, account: Account) -> bool:
    """Whether it was added: False if its login name is another's."""
    if by_login(session, account.login) is not None:
        return False
    session.add(account)
    return True


def by_login(session: Session, login: str) -> Account | None:
    return session.exec(select(Account).where(Account.login == login)).first()


def all_accounts(session: Session) -> list[Account]:
    return list(session.exec(select(Account).order_by(col(Account.login))))


def claim_totp_step(account: Account, step: int) -> bool:
    """Whether the code of this time step is the first of its time; then it is used, and all before it are.

    RFC 6238 section 5.2: a code is accepted once. The transaction that `account` was read in keeps others
    from claiming the same.
    """
    if account.totp_step is not None and step <= account.totp_step:
        return False
    account.totp_step = step
    return True


def authorities_of(session: Session, person: str) -> list[Authority]:
    """All of them, in force and over, the oldest first."""
    theirs = select(Authority).where(Authority.person == person)
    return list(session.exec(theirs.order_by(col(Authority.created_s), col(Authority.id))))


def in_force(authority: Authority, now_s: int) -> bool:
    return authority.ended_s is None and now_s <= authority.until_s
