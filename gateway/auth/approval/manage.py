"""The page on which a person sees what they have allowed apps, and withdraws it.

    GET  /auth/manage    what is allowed
    POST /auth/manage    withdraws one: `consent` or `grant` is its id

A withdrawn consent is revoked in the ledger first: from then on no token that rests on it opens anything.
Then the grants end, and with them refresh and access tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.approval.allowed import all_allowed, consents_for_apps, grants_on, own_grant
from gateway.auth.approval.asking import Clients
from gateway.auth.approval.patients import acting_for
from gateway.auth.approval.words import Words
from gateway.auth.glass.notices import Notice, of_patient
from gateway.auth.pages import HEADERS, Pages
from gateway.auth.people.browser import Browser
from gateway.auth.people.forms import read_pairs
from gateway.auth.people.login_page import LOGIN
from gateway.auth.people.registry import Person, actor_of
from gateway.auth.people.waiting import FindWaiting, Waiting
from gateway.auth.ports import Ports
from gateway.auth.tokens.ending import end_grant
from gateway.core.consent.glass import REASONS
from gateway.errors import BadRequest

MANAGE: Final = "/auth/manage"
NEXT: Final = "manage"
"""What the log-in is told of who wants to go on here; no request has an id that short."""
REASON: Final = "patient-request"


def manage_routes(
    ports: Ports, clients: Clients, browser: Browser, pages: Pages, words: Words
) -> list[Route]:
    page = _Manage(ports, clients, browser, pages, words)
    return [
        Route(MANAGE, pages.answering(page.show), methods=["GET"]),
        Route(MANAGE, pages.answering(page.take), methods=["POST"]),
    ]


def or_manage(find: FindWaiting) -> FindWaiting:
    """`find`, and the way to this page by its own name."""

    async def found(name: str) -> Waiting | None:
        return Waiting(MANAGE) if name == NEXT else await find(name)

    return found


@dataclass(frozen=True, slots=True)
class Emergency:
    """That somebody broke the glass: for whose records, who, when, and in which words why."""

    patient: str
    name: str
    at: datetime
    reason: str

    @classmethod
    def of(cls, notice: Notice) -> Emergency:
        at = datetime.fromtimestamp(notice.at_s, UTC)
        return cls(notice.patient, notice.name, at, REASONS[notice.reason])


@dataclass(frozen=True, slots=True)
class _Manage:
    ports: Ports
    clients: Clients
    browser: Browser
    pages: Pages
    words: Words

    async def show(self, request: Request) -> Response:
        query = read_pairs(request.scope["query_string"])
        if not query.keys() <= {"done"}:
            raise BadRequest("The address has something that is not known here.")
        now_s = self.ports.now_ms() // 1000
        who = await self.browser.signed_in(request, now_s)
        if who is None:
            return _on(f"{LOGIN}?{urlencode({'next': NEXT})}")
        return self.pages.page(
            "manage.html",
            person=who.person,
            allowed=await all_allowed(self.ports, self.clients, self.words, who.person, now_s),
            emergencies=await self._emergencies(who.person, now_s),
            done="done" in query,
            token=self.browser.visit(request).token,
        )

    async def _emergencies(self, person: Person, now_s: int) -> list[Emergency]:
        """Who broke the glass of those for whom the person acts, the newest first."""
        patients = [subject.id for subject in await acting_for(self.ports, person, now_s)]
        found = await self.ports.database.run(
            lambda session: [notice for patient in patients for notice in of_patient(session, patient)]
        )
        return [Emergency.of(notice) for notice in found]

    async def take(self, request: Request) -> Response:
        fields, now_s = await self.browser.form(request), self.ports.now_ms() // 1000
        who = await self.browser.signed_in(request, now_s)
        if who is None:
            return _on(f"{LOGIN}?{urlencode({'next': NEXT})}")
        match fields:
            case {"consent": consent} if len(fields) == 1:
                await self._withdraw_consent(who.person, consent, now_s)
            case {"grant": grant} if len(fields) == 1:
                await self._withdraw_grant(who.person, grant, now_s)
            case _:
                raise BadRequest("This is not a step of this page.")
        return _on(f"{MANAGE}?done=")

    async def _withdraw_consent(self, person: Person, consent: str, now_s: int) -> None:
        """Nothing happens to one that is withdrawn already, or not theirs: it is not on the page."""
        self.ports.consents.at_head()
        theirs = {
            found.id
            for subject in await acting_for(self.ports, person, now_s)
            for found in consents_for_apps(self.ports.service, subject.id, now_s)
        }
        if consent not in theirs:
            return
        await self.ports.service.revoke(consent, REASON, actor_of(person))
        # From here on its tokens open nothing; what is left is that they say so, and cannot be renewed.
        for grant in await self.ports.database.run(lambda session: grants_on(session, consent)):
            await end_grant(self.ports, grant, "user-request", actor_of(person))

    async def _withdraw_grant(self, person: Person, grant: str, now_s: int) -> None:
        if await self.ports.database.run(lambda session: own_grant(session, person, grant, now_s)):
            await end_grant(self.ports, grant, "user-request", actor_of(person))


def _on(address: str) -> Response:
    return RedirectResponse(address, 303, headers=HEADERS)
