"""Breaking the glass: a token for one patient's records that no consent has to permit, for four hours.

Who asks shows a second factor and says why. The entry that says so is durable first, then the notices are
written down, then the token has its own entry and is made; a failure anywhere makes none. Four hours can be
added once. Who has a review to answer for is not let in again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlmodel import Session

from gateway.auth.clients.registry import Clients
from gateway.auth.glass import notices, renewals
from gateway.auth.glass.past import Case, Entries, cases
from gateway.auth.people.authorities import PROFESSIONALS
from gateway.auth.people.factors import Factors
from gateway.auth.people.registry import Person, actor_of, person_of
from gateway.auth.ports import Base
from gateway.auth.store.database import Database
from gateway.auth.store.grants import Access, Grant
from gateway.auth.store.people import Account
from gateway.auth.tokens.issuing import Issued, Issuing, Terms, issue
from gateway.core.canon import Json, b64url
from gateway.core.consent.glass import KINDS, LASTS_S, OPEN, ROLE, SCOPE, Statement, open_facts
from gateway.core.consent.purposes import BREAK_GLASS
from gateway.core.record import Draft
from gateway.core.values import Confirmation, Glass
from gateway.errors import BadRequest, ConsentryError, Forbidden, LedgerUnavailable, NotFound

DAY_S: Final = 24 * 3600
NOT_CONFIRMED: Final = "Who asks could not be confirmed."
ONCE: Final = "A glass that was broken is renewed once."


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may break the glass, by the role of their account (nobody: nobody may), how long after it a review
    is due, in seconds, and whether the token has to be bound to a key."""

    roles: frozenset[str]
    review_within_s: int
    key_required: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """Who asks (`login`, and the `code` of their second factor), through which client, for whose records and
    why. `renews` is the entry of a glass that they broke and that lasts; `key` is the thumbprint of the key
    that the token is bound to."""

    login: str
    code: str
    client: str
    patient: str
    statement: Statement
    base: str | None = None
    renews: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """`entry` is that of the broken glass; the token has its own."""

    issued: Issued
    entry: int
    hash: str
    renewable: bool


class Needs(Issuing, Protocol):
    """What breaking the glass needs of the outside; `Ports` has it."""

    @property
    def database(self) -> Database: ...


@dataclass(frozen=True, slots=True)
class Breaking:
    """`entries` reads the ledger; `policy` is the operator's."""

    ports: Needs
    clients: Clients
    factors: Factors
    entries: Entries
    policy: Policy

    async def break_glass(self, wish: Wish) -> Opened:
        """
        Raises:
            BadRequest: the wish cannot be met: no such client or base, no glass to renew.
            Forbidden: it is not confirmed who asks, they may not, or have a review to answer for first.
            LedgerUnavailable, StateUnavailable: nothing was issued.
        """
        now_s = self.ports.now_ms() // 1000
        base = _base(self.ports, wish.base)
        if await self.clients.get(wish.client) is None:
            raise BadRequest("There is no such client.")
        if self.policy.key_required and wish.key is None:
            raise BadRequest("The token is bound to a key: give the thumbprint of the device's, as jkt.")
        account = await self._confirmed(wish, now_s)
        person = person_of(account)
        renewed = self._allowed(wish, person, now_s)
        if renewed is None:
            opened = await self._recorded(wish, base, person, now_s, None)
        else:
            opened = await self._renewed(wish, base, person, now_s, renewed)
        return await self._issued(wish, base, account, opened, renewed is None)

    # --- Whether -----------------------------------------------------------------------------------

    async def _confirmed(self, wish: Wish, now_s: int) -> Account:
        """Nobody is told what was wrong: a name, a person without a second factor, or the code."""
        found = await self.factors.confirm(wish.login, wish.code, now_s)
        if not isinstance(found, Account):
            raise Forbidden(NOT_CONFIRMED, "glass")
        return found

    def _allowed(self, wish: Wish, person: Person, now_s: int) -> Case | None:
        """The glass that is renewed, if one is. Raises Forbidden, BadRequest."""
        if person.user is None or person.user.type not in PROFESSIONALS:
            raise Forbidden("Only professionals break the glass.", "glass")
        if person.role not in self.policy.roles:
            raise Forbidden("The role of this person does not break the glass.", "glass")
        mine = [case for case in cases(self.entries(KINDS, -1)) if case.broken.user == actor_of(person)]
        unanswered = [case for case in mine if case.review is None]
        for case in unanswered:
            if case.broken.at_s + self.policy.review_within_s < now_s:
                raise Forbidden(f"Entry {case.broken.index} has to be reviewed first.", "glass")
        if wish.renews is not None:
            return _to_renew(mine, wish, now_s)
        for case in unanswered:
            if case.broken.patient == wish.patient and case.broken.at_s + DAY_S > now_s:
                entry = case.broken.index
                raise Forbidden(f"Renew entry {entry}, for the same patient, or have it reviewed.", "glass")
        return None

    # --- And how -----------------------------------------------------------------------------------

    async def _renewed(self, wish: Wish, base: Base, person: Person, now_s: int, before: Case) -> Glass:
        """As `_recorded`, for the one of all who ask at the same time that gets it."""
        entry, run = before.broken.index, self.ports.database.run
        if not await run(lambda session: renewals.claim(session, entry)):
            raise BadRequest(ONCE)
        try:
            return await self._recorded(wish, base, person, now_s, before)
        except ConsentryError:
            # Whether it is in the ledger may not be known; if it is, that says that it was renewed.
            await run(lambda session: renewals.give_back(session, entry))
            raise

    async def _recorded(
        self, wish: Wish, base: Base, person: Person, now_s: int, renewed: Case | None
    ) -> Glass:
        until_s = now_s + LASTS_S
        facts, attachments = open_facts(wish.statement, until_s, None if renewed is None else renewed.place)
        common: dict[str, Json] = {
            "act": actor_of(person),
            "cli": wish.client,
            "pat": f"Patient/{wish.patient}",
            "pol": self.ports.policy,
            "rid": self.ports.new_id(),
            "rol": person.role,
            "src": base.url,
        }
        if person.organization is not None:
            common["org"] = str(person.organization)
        receipts = await self.ports.record([Draft(OPEN, wish.patient, {**common, **facts}, attachments)])
        if len(receipts) != 1:
            raise LedgerUnavailable
        glass = Glass(wish.statement.reason, receipts[0].index, b64url(receipts[0].leaf_hash))
        who = actor_of(person)
        told = notices.Told(glass.entry, glass.hash, wish.patient, who, person.name, now_s, until_s)
        await self.ports.database.run(lambda session: notices.add(session, told, wish.statement.reason))
        return glass

    async def _issued(
        self, wish: Wish, base: Base, account: Account, glass: Glass, renewable: bool
    ) -> Opened:
        person, now_s = person_of(account), self.ports.now_ms() // 1000
        grant = Grant(
            id=self.ports.new_id(),
            client=wish.client,
            audience=base.url,
            subject=account.id,
            user=account.user,
            role=ROLE,
            organization=account.organization,
            patient=wish.patient,
            scope=SCOPE,
            purposes=BREAK_GLASS,
            context="{}",
            created_s=now_s,
            until_s=now_s + LASTS_S,
        )
        terms = Terms(
            audience=base.url,
            client=wish.client,
            subject=account.id,
            scopes=(SCOPE,),
            purposes=(BREAK_GLASS,),
            lifetime_s=LASTS_S,
            patient=wish.patient,
            user=person.user,
            role=ROLE,
            organization=None if person.organization is None else person.organization.id,
            confirmation=None if wish.key is None else Confirmation("jkt", wish.key),
            glass=glass,
        )
        issued = await issue(self.ports, terms)

        def note(session: Session) -> None:
            now = session.get(Account, account.id)
            if now is None or now.disabled_s is not None:
                raise Forbidden(NOT_CONFIRMED, "glass")
            session.add(grant)
            session.flush()
            place = Access(
                entry=issued.entry, hash=issued.hash, grant=grant.id, exp_s=issued.token.expires_at_s
            )
            session.add(place)

        # The person may have been kept out meanwhile: then the token is never given to anybody.
        await self.ports.database.run(note)
        return Opened(issued, glass.entry, glass.hash, renewable)


def _base(ports: Needs, named: str | None) -> Base:
    if named is None and len(ports.bases) == 1:
        return next(iter(ports.bases.values()))
    found = ports.bases.get((named or "").removesuffix("/"))
    if found is None:
        raise BadRequest("The base is the address of a FHIR server here, and needed where there are several.")
    return found


def _to_renew(mine: Sequence[Case], wish: Wish, now_s: int) -> Case:
    for case in mine:
        glass = case.broken
        if glass.index != wish.renews or (glass.patient, glass.client) != (wish.patient, wish.client):
            continue
        if case.renewed or glass.renews is not None:
            raise BadRequest(ONCE)
        if now_s >= glass.until_s:
            raise BadRequest("What is over is not renewed; break the glass anew.")
        return case
    raise NotFound("There is no such glass of this person, patient and client.")
