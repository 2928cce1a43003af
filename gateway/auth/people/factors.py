"""Getting in: a password or something else, and for who has one a second factor; then a session.

Each step is counted before it is tried, and refused without being tried during a pause. That a name does not
exist, that a person is disabled and that the password is wrong look and last the same. What was true when
the password was compared must be true when the session begins.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlmodel import Session

from gateway.auth.people.passwords import Passwords
from gateway.auth.people.totp import Sealer, step_of
from gateway.auth.store import attempts, passkeys, people, sessions
from gateway.auth.store.attempts import Counter, Kind
from gateway.auth.store.database import Database, digest_of
from gateway.auth.store.people import Account
from gateway.auth.store.sessions import BrowserSession

LONGEST_NAME: Final = 256

log = logging.getLogger("consentry.auth")


@dataclass(frozen=True, slots=True)
class Caller:
    """The browser that asks: its session secret, which the next one replaces, the secret that it is known by,
    and its network address, if there is one that tells it from others."""

    session: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """A step that went well. `secret` is the session's; without a `device` secret the second factor is still
    to come."""

    secret: str = field(repr=False)
    device: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """`wait_s` is above 0 during a pause: then nothing was tried."""

    wait_s: int = 0


class _Begun(NamedTuple):
    wait_s: int
    counters: list[Counter]
    account: Account | None


class Factors:
    """`key` is secret, 32 bytes; `new_id` names a session; `new_secret` gives 43 characters of base64url."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        sealer: Sealer,
        *,
        key: bytes,
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sealer = sealer
        self._key = key
        self._new_id = new_id
        self._new_secret = new_secret

    async def by_password(self, login: str, password: str, caller: Caller, now_s: int) -> Entered | Refused:
        """The first step. The session that the browser had is over if it goes well."""
        login = login.strip()[:LONGEST_NAME].lower()
        begun = await self._database.run(lambda session: self._begin(session, login, caller, now_s))
        if begun.wait_s:
            return Refused(begun.wait_s)
        account = begun.account
        stored = None if account is None else account.password
        same = await self._passwords.match(stored or None, password)
        if account is None or not same:
            return Refused()
        renewed = await self._renewed(account.password, password)

        def enter(session: Session) -> Entered | Refused:
            now = session.get(Account, account.id)
            if now is None or now.disabled_s is not None or now.password != account.password:
                return Refused()
            now.password = renewed
            attempts.end_attempt(session, begun.counters, now_s)
            return self._enter(session, now, sessions.PASSWORD, caller, now_s)

        return await self._database.run(enter)

    async def by_code(self, code: str, caller: Caller, now_s: int) -> Entered | Refused | None:
        """The second step, of a session that waits for it; None if there is none (any more)."""

        def enter(session: Session) -> Entered | Refused | None:
            waiting = _session_of(session, caller, now_s)
            if waiting is None or not waiting.pending:
                return None
            account = session.get_one(Account, waiting.person)
            counters = [self._counter("code", account.id)]
            if wait_s := attempts.begin_attempt(session, counters, now_s):
                return Refused(wait_s)
            if account.disabled_s is not None or account.totp is None:
                return None
            step = step_of(self._sealer.open(account.totp, account.id), code, now_s)
            if step is None or not people.claim_totp_step(account, step):
                log.info("a second factor was refused: person %s", account.id)
                return Refused()
            attempts.end_attempt(session, counters, now_s)
            return self._enter(session, account, sessions.CODE, caller, now_s)

        return await self._database.run(enter)

    async def confirm(self, login: str, code: str, now_s: int) -> Account | Refused | None:
        """Somebody's second factor, shown outside a session for one act; None for nobody, somebody disabled,
        or without a second factor."""

        def claim(session: Session) -> Account | Refused | None:
            account = people.by_login(session, login.strip()[:LONGEST_NAME].lower())
            if account is None or account.disabled_s is not None or account.totp is None:
                return None
            counters = [self._counter("code", account.id)]
            if wait_s := attempts.begin_attempt(session, counters, now_s):
                return Refused(wait_s)
            step = step_of(self._sealer.open(account.totp, account.id), code, now_s)
            if step is None or not people.claim_totp_step(account, step):
                log.info("a second factor was refused: person %s", account.id)
                return Refused()
            attempts.end_attempt(session, counters, now_s)
            return account

        return await self._database.run(claim)

    async def by_another(
        self,
        find: Callable[[Session], Account | None],
        factor: str,
        caller: Caller,
        now_s: int,
        auth_time_s: int | None = None,
    ) -> Entered | None:
        """The person whom `find` gives, who has shown by `factor` who they are: now, or at `auth_time_s`.
        None if nobody, or somebody disabled; raises what `find` raises."""

        def enter(session: Session) -> Entered | None:
            account = find(session)
            if account is None or account.disabled_s is not None:
                return None
            return self._enter(session, account, factor, caller, now_s, auth_time_s)

        return await self._database.run(enter)

    async def leave(self, caller: Caller, now_s: int) -> None:
        """Ends the session of this browser, pending or not."""
        if caller.session is not None:
            digest = digest_of(caller.session)
            await self._database.run(lambda session: sessions.end_session(session, digest, now_s))

    def _begin(self, session: Session, login: str, caller: Caller, now_s: int) -> _Begun:
        """A browser that the person has logged in with has a count of its own; all others share those of the
        name and of their address."""
        account = people.by_login(session, login)
        known = (
            caller.device is not None
            and account is not None
            and attempts.knows_device(session, digest_of(caller.device), account.id, now_s)
        )
        if known:
            counters = [self._counter("device", f"{caller.device} {login}")]
        else:
            counters = [self._counter("name", login)]
            if caller.address is not None:
                counters.append(self._counter("address", caller.address))
        return _Begun(attempts.begin_attempt(session, counters, now_s), counters, account)

    def _enter(
        self,
        session: Session,
        account: Account,
        factor: str,
        caller: Caller,
        now_s: int,
        auth_time_s: int | None = None,
    ) -> Entered:
        """Begins the session that this step leads to, with a new secret, and ends the one before."""
        if caller.session is not None:
            sessions.end_session(session, digest_of(caller.session), now_s)
        has_second = account.totp is not None or passkeys.has_passkey(session, account.id)
        pending = has_second and factor not in sessions.TWO
        secret = self._new_secret()
        made = BrowserSession(
            digest=digest_of(secret),
            id=self._new_id(),
            person=account.id,
            factor=factor,
            pending=pending,
            created_s=now_s if auth_time_s is None else auth_time_s,
            seen_s=now_s,
            exp_s=now_s + (sessions.PENDING_S if pending else sessions.LONGEST_S),
        )
        sessions.begin_session(session, made)
        if pending:
            return Entered(secret)
        log.info("logged in (%s): person %s", factor, account.id)
        return Entered(secret, self._remember(session, account, caller, now_s))

    def _remember(self, session: Session, account: Account, caller: Caller, now_s: int) -> str:
        """The secret by which this browser is known: one for all who log in with it."""
        device = caller.device
        if device is None or not attempts.is_device(session, digest_of(device), now_s):
            device = self._new_secret()
        attempts.remember_device(session, digest_of(device), account.id, now_s)
        return device

    async def _renewed(self, stored: str, password: str) -> str:
        """The hash at today's cost."""
        return await self._passwords.hashed(password) if self._passwords.is_outdated(stored) else stored

    def _counter(self, kind: Kind, whom: str) -> Counter:
        return Counter(
            kind, hmac.digest(self._key, f"consentry/attempts/v1 {kind} {whom}".encode(), "sha256")
        )


def _session_of(session: Session, caller: Caller, now_s: int) -> BrowserSession | None:
    return (
        None if caller.session is None else sessions.live_session(session, digest_of(caller.session), now_s)
    )
