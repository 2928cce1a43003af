"""The passkeys of people: registered by who has just logged in, used to log in, removed.

Each answer counts once: its challenge is claimed in the transaction that acts on it. A key is one person's,
and a log-in by it is theirs, whoever the browser was logged in as before.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session

from gateway.auth.passkeys.ceremony import NOT_SOUND, Ceremonies, Shown
from gateway.auth.passkeys.challenge import Challenges, Use
from gateway.auth.people.browser import SignedIn, Visit
from gateway.auth.people.factors import Entered, Factors
from gateway.auth.store import passkeys, sessions
from gateway.auth.store.database import Database
from gateway.auth.store.passkeys import Passkey
from gateway.auth.store.people import Account
from gateway.core.canon import sha256
from gateway.errors import BadRequest

TOO_MANY: Final = f"You have this passkey already, or {passkeys.MOST} of them, which is the most."
NO_PASSWORD: Final = "You log in with another provider, so you need no passkey here."  # noqa: S105 - no password

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,60}")

log = logging.getLogger("consentry.auth")


@dataclass(frozen=True, slots=True)
class Keyring:
    """All of one database. Methods raise BadRequest, in words for the person, or StateUnavailable."""

    database: Database
    factors: Factors
    ceremonies: Ceremonies
    challenges: Challenges

    async def of(self, person: str) -> list[Passkey]:
        return await self.database.run(lambda session: passkeys.passkeys_of(session, person))

    async def to_register(self, who: SignedIn, visit: Visit, now_s: int) -> dict[str, Any]:
        """What the browser is asked for a new one."""
        person, known = who.person, await self.of(who.person.id)
        challenge = self.challenges.make("register", visit.secret, now_s)
        return self.ceremonies.to_register(
            person.id, person.login, person.name, [key.id for key in known], challenge
        )

    async def register(self, who: SignedIn, name: str, answer: str, visit: Visit, now_s: int) -> None:
        """Adds the passkey of a browser's answer, under a name of its owner's."""
        name = name.strip()
        if _NAME.fullmatch(name) is None:
            raise BadRequest("Give the passkey a name of up to 60 characters, such as that of the device.")
        shown = self.ceremonies.read(answer)
        ends_s = self._ends_s(shown, "register", visit, now_s)
        key = self.ceremonies.register(shown)
        made = Passkey(
            id=key.id, person=who.person.id, name=name, data=key.data, count=key.count, created_s=now_s
        )

        def add(session: Session) -> None:
            if not session.get_one(Account, who.person.id).password:
                raise BadRequest(NO_PASSWORD)
            _claim(session, shown, ends_s, now_s)
            if not passkeys.add_passkey(session, made):
                raise BadRequest(TOO_MANY)

        await self.database.run(add)
        log.info("a passkey was registered: person %s", who.person.id)

    def to_log_in(self, visit: Visit, now_s: int) -> dict[str, Any]:
        """What the browser is asked for the log-in."""
        return self.ceremonies.to_log_in(self.challenges.make("log-in", visit.secret, now_s))

    async def log_in(self, answer: str, visit: Visit, now_s: int) -> Entered:
        shown = self.ceremonies.read(answer)
        ends_s = self._ends_s(shown, "log-in", visit, now_s)
        known = await self.database.run(lambda session: session.get(Passkey, shown.id))
        if known is None or shown.user != known.person.encode():
            raise BadRequest(NOT_SOUND)
        count = self.ceremonies.log_in(shown, known.data)

        def find(session: Session) -> Account | None:
            passkey = session.get(Passkey, shown.id)
            if passkey is None:
                raise BadRequest(NOT_SOUND)
            _claim(session, shown, ends_s, now_s)
            if not passkeys.count_use(passkey, count, now_s):
                log.warning("the counter of a passkey went back, as a copy's does: person %s", passkey.person)
                raise BadRequest(NOT_SOUND)
            return session.get(Account, passkey.person)

        entered = await self.factors.by_another(find, sessions.PASSKEY, visit.caller(None), now_s)
        if entered is None:
            raise BadRequest(NOT_SOUND)
        return entered

    async def remove(self, who: SignedIn, credential: bytes, now_s: int) -> None:
        """Takes one of theirs away, and ends their other sessions. Nothing happens to one that is not."""

        def work(session: Session) -> None:
            if passkeys.remove_passkey(session, credential, who.person.id):
                sessions.end_sessions_of(session, who.person.id, now_s, but=who.session)

        await self.database.run(work)

    def _ends_s(self, shown: Shown, use: Use, visit: Visit, now_s: int) -> int:
        """When the challenge that was answered is over: ours, for this browser and use."""
        ends_s = self.challenges.ends_s(shown.challenge, use, visit.secret, now_s)
        if visit.is_new or ends_s is None:
            raise BadRequest(NOT_SOUND)
        return ends_s


def _claim(session: Session, shown: Shown, ends_s: int, now_s: int) -> None:
    if not passkeys.claim_challenge(session, sha256(shown.challenge), ends_s, now_s):
        raise BadRequest(NOT_SOUND)
