"""The people who can log in: made, changed, listed.

A person is a login of this server and, usually, a FHIR resource. Whatever changes how a person gets in ends
the sessions they have, and makes the browsers they used strange again. Nobody is deleted: a disabled person
does not get in, and what they did stays theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session

from gateway.auth.people.passwords import Passwords, check_new
from gateway.auth.people.totp import Sealer
from gateway.auth.store import attempts, grants, passkeys, people, sessions
from gateway.auth.store.database import Database
from gateway.auth.store.passkeys import Passkey
from gateway.auth.store.people import Account, Authority
from gateway.core.smart.kinds import USER_TYPES
from gateway.core.values import Ref
from gateway.errors import BadRequest, NotFound

TABLES = (*people.TABLES, *attempts.TABLES, *sessions.TABLES, *passkeys.TABLES, *grants.TABLES)
"""All that a database of people has, and what they granted, which ends with them."""

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_ROLE = re.compile(r"[ -~]{1,255}")
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,120}")


@dataclass(frozen=True, slots=True)
class Person:
    """`user` is their own FHIR resource; `role` is what they work as, for `organization`."""

    id: str
    login: str
    name: str
    user: Ref | None = None
    role: str | None = None
    organization: Ref | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a new person is. Raises BadRequest when built if it cannot be."""

    login: str
    name: str
    user: Ref | None = None
    role: str | None = None
    organization: Ref | None = None

    def __post_init__(self) -> None:
        if _LOGIN.fullmatch(self.login) is None:
            raise BadRequest(
                "A login name has up to 64 letters, digits and . _ @ + -, a letter or digit first."
            )
        if _NAME.fullmatch(self.name) is None or not self.name.strip():
            raise BadRequest("A person's name is one line of up to 120 characters.")
        if self.user is not None and self.user.type not in USER_TYPES:
            raise BadRequest(f"A person is one of {', '.join(USER_TYPES)}.")
        if self.role is not None and _ROLE.fullmatch(self.role) is None:
            raise BadRequest("A role is one line of up to 255 ASCII characters.")
        if self.organization is not None and self.organization.type != "Organization":
            raise BadRequest("A person works for an Organization.")


def person_of(account: Account) -> Person:
    return Person(
        account.id,
        account.login,
        account.name,
        _ref(account.user),
        account.role,
        _ref(account.organization),
    )


def actor_of(person: Person) -> str:
    """Who acts, as ledger entries name them: their own resource, or else the id of their login."""
    return person.id if person.user is None else str(person.user)


class People:
    """All people of one database. Commands find a person by login name; NotFound if there is none."""

    def __init__(
        self, database: Database, passwords: Passwords, sealer: Sealer, new_id: Callable[[], str]
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sealer = sealer
        self._new_id = new_id

    async def add(self, profile: Profile, password: str | None, now_s: int) -> Person:
        """Raises BadRequest for a password that is too weak, or a login name that is taken. Who has none
        logs in by another way alone."""
        if password is not None:
            check_new(password, profile.login)
        account = Account(
            id=self._new_id(),
            login=profile.login,
            password="" if password is None else await self._passwords.hashed(password),
            name=profile.name,
            user=_text(profile.user),
            role=profile.role,
            organization=_text(profile.organization),
            created_s=now_s,
        )
        if not await self._database.run(lambda session: people.add_account(session, account)):
            raise BadRequest("There is a person with this login name already.")
        return person_of(account)

    async def set_password(self, login: str, password: str, now_s: int) -> Person:
        """Raises BadRequest for one that is too weak."""
        check_new(password, login)
        stored = await self._passwords.hashed(password)

        def change(account: Account) -> None:
            account.password = stored

        return await self._change(login, change, now_s)

    async def new_second_factor(self, login: str, now_s: int) -> str:
        """A new TOTP secret, in base32, in the place of any before; it is told this once."""
        secret = self._sealer.new_secret()

        def change(account: Account) -> None:
            account.totp, account.totp_step = self._sealer.seal(secret, account.id), None

        await self._change(login, change, now_s)
        return secret

    async def drop_second_factor(self, login: str, now_s: int) -> Person:
        def change(account: Account) -> None:
            account.totp = account.totp_step = None

        return await self._change(login, change, now_s)

    async def drop_passkeys(self, login: str, now_s: int) -> Person:
        """For who has lost the device, as a password alone does not let them in."""

        def work(session: Session) -> Person:
            person = self._changed(session, login, lambda _: None, now_s)
            passkeys.remove_passkeys_of(session, person.id)
            return person

        return await self._database.run(work)

    async def passkeys(self, login: str) -> list[Passkey]:
        return await self._database.run(
            lambda session: passkeys.passkeys_of(session, known(session, login).id)
        )

    async def set_disabled(self, login: str, disabled: bool, now_s: int) -> Person:
        """Keeps a person out, and ends all that they granted; or lets them in again, to grant anew.
        `ending.finish` tells the ledger of the tokens."""

        def change(account: Account) -> None:
            account.disabled_s = (account.disabled_s or now_s) if disabled else None

        def work(session: Session) -> Person:
            person = self._changed(session, login, change, now_s)
            if disabled:
                grants.end_grants(session, grants.grants_of(session, person.id), now_s)
            return person

        return await self._database.run(work)

    async def person(self, person_id: str) -> Person | None:
        """Who this is; None if nobody, or somebody who is disabled."""
        account = await self._database.run(lambda session: session.get(Account, person_id))
        return None if account is None or account.disabled_s is not None else person_of(account)

    async def accounts(self) -> list[tuple[Account, list[Authority]]]:
        """Everybody, by login name, with all authorities they ever had."""
        return await self._database.run(
            lambda session: [(a, people.authorities_of(session, a.id)) for a in people.all_accounts(session)]
        )

    async def account(self, login: str) -> tuple[Account, list[Authority]]:
        def work(session: Session) -> tuple[Account, list[Authority]]:
            account = known(session, login)
            return account, people.authorities_of(session, account.id)

        return await self._database.run(work)

    async def _change(self, login: str, change: Callable[[Account], None], now_s: int) -> Person:
        return await self._database.run(lambda session: self._changed(session, login, change, now_s))

    def _changed(self, session: Session, login: str, change: Callable[[Account], None], now_s: int) -> Person:
        """Changes how a person gets in, so whoever is in by the old way is out."""
        account = known(session, login)
        change(account)
        sessions.end_sessions_of(session, account.id, now_s)
        attempts.forget_devices(session, account.id)
        return person_of(account)


def known(session: Session, login: str) -> Account:
    account = people.by_login(session, login)
    if account is None:
        raise NotFound("There is no person with this login name.")
    return account


def _ref(text: str | None) -> Ref | None:
    return None if text is None else Ref(*text.split("/"))


def _text(ref: Ref | None) -> str | None:
    return None if ref is None else str(ref)
