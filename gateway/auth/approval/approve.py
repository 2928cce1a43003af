"""The pages on which a person decides: whose records, and what of them an app may have.

    GET  /auth/approve?request=ID[&tick=none]    the patients to choose among, or what is asked
    POST /auth/approve                           one step: `patient`, `other`, `encounter`, `another`,
                                                 `check`, `allow` or `deny`

A request is decided once, by the session that opened it. The answer goes to the app with 303, which the
page's policy names: browsers hold a form to where it may lead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.approval.asking import Clients, Destination
from gateway.auth.approval.authorize import APPROVE, UNAVAILABLE, approve_address, form_to
from gateway.auth.approval.cases import Case, Impossible, find_request, open_case
from gateway.auth.approval.decision import Fields, Unfit, days, proposal, read_decision
from gateway.auth.approval.encounters import Encounter, encounters
from gateway.auth.approval.granting import approve
from gateway.auth.approval.offer import Offer, offer
from gateway.auth.approval.words import Purpose, Words
from gateway.auth.pages import HEADERS, Pages
from gateway.auth.people.browser import Browser, SignedIn
from gateway.auth.people.forms import read_pairs
from gateway.auth.people.login_page import LOGIN, OVER
from gateway.auth.ports import Ports
from gateway.auth.store import requests
from gateway.auth.store.database import digest_of
from gateway.errors import BadRequest, LedgerUnavailable, OAuthError, StateUnavailable

LISTED: Final = 30
"""More patients than this are not listed; then the id of one is typed."""
FEW: Final = 6
"""More kinds of records than this are named in a sentence, and their boxes are behind it."""
DENIED: Final = OAuthError("access_denied", "The request was denied.")
NO_ENCOUNTER: Final = ""
NOT_A_VISIT: Final = "Choose one of the visits, or none of them."
NOT_A_PATIENT: Final = "Choose one of the patients whom you can open to an app."


def approve_routes(
    ports: Ports, clients: Clients, browser: Browser, pages: Pages, words: Words, style_url: str | None = None
) -> list[Route]:
    """`style_url` is told to apps that an EHR launches (`smart_style_url`)."""
    page = _Approve(ports, clients, browser, pages, words, style_url)
    return [
        Route(APPROVE, pages.answering(page.show), methods=["GET"]),
        Route(APPROVE, pages.answering(page.take), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class _Approve:
    ports: Ports
    clients: Clients
    browser: Browser
    pages: Pages
    words: Words
    style_url: str | None

    async def show(self, request: Request) -> Response:
        query = read_pairs(request.scope["query_string"])
        if not {"request"} <= query.keys() <= {"request", "tick"}:
            raise BadRequest(OVER)
        now_s = self.ports.now_ms() // 1000
        case = await self._open(request, query["request"], now_s)
        if isinstance(case, Response):
            return case
        if case.chooses_encounter:
            return await self._encounters(request, case, {}, now_s)
        offered = self._offer(case)
        ticked = offered.keys - offered.data_keys if query.get("tick") == "none" else offered.keys
        fields = proposal(offered, self._purposes(case), days(case, now_s), ticked)
        return self._page(request, case, fields, now_s)

    async def take(self, request: Request) -> Response:
        fields, now_s = await self.browser.form(request), self.ports.now_ms() // 1000
        case = await self._open(request, fields.get("request", ""), now_s)
        if isinstance(case, Response):
            return case
        known = {"request", "step", "patient", "encounter", "purpose", "until", *self._offer(case).keys}
        if not fields.keys() <= known:
            raise BadRequest("The request has a field that is not known here.")
        match fields.get("step"):
            case "deny":
                return await self._end(case.to, case.id, case.who, DENIED, now_s)
            case "patient":
                return await self._choose_patient(request, case, fields, now_s)
            case "other":
                return await self._set_patient(case, None, now_s)
            case "encounter" if case.chooses_encounter:
                return await self._choose_encounter(request, case, fields, now_s)
            case "another":
                return await self._set_encounter(case, None, now_s)
            case "check":
                return self._page(request, case, fields, now_s)
            case "allow" if case.patient is not None or not case.needs_patient:
                return await self._allow(request, case, fields, now_s)
            case _:
                raise BadRequest("This is not a step of the request.")

    # --- Which request, and whose ------------------------------------------------------------------

    async def _open(self, request: Request, request_id: str, now_s: int) -> Case | Response:
        """The case, or where else the browser has to go."""
        waiting = await find_request(self.ports, request_id, now_s)
        who = await self.browser.signed_in(request, now_s)
        if who is None or who.auth_time_s < waiting.auth_after_s:
            return _on(f"{LOGIN}?{urlencode({'next': request_id})}")
        case = await open_case(self.ports, self.clients, request_id, who, now_s)
        if isinstance(case, Impossible):
            return await self._end(case.to, request_id, who, case.error, now_s)
        return case

    async def _choose_patient(self, request: Request, case: Case, fields: Fields, now_s: int) -> Response:
        chosen = fields.get("patient", "").strip()
        if chosen not in {subject.id for subject in case.choices}:
            return self._page(request, case, fields, now_s, Unfit("patient", NOT_A_PATIENT))
        return await self._set_patient(case, chosen, now_s)

    async def _set_patient(self, case: Case, patient: str | None, now_s: int) -> Response:
        digest, login = digest_of(case.id), case.who.session
        await self._undecided(lambda db: requests.choose_patient(db, digest, login, patient, now_s))
        return _on(approve_address(case.id))

    async def _encounters(
        self, request: Request, case: Case, fields: Fields, now_s: int, unfit: Unfit | None = None
    ) -> Response:
        """The page to choose on; where there is nothing to choose, it goes on without."""
        found = await self._readable(case)
        if not found:
            return await self._set_encounter(case, NO_ENCOUNTER, now_s)
        return self.pages.page(
            "encounter.html",
            status=200 if unfit is None else 422,
            form_to=form_to(case.request.redirect_uri),
            case=case,
            given=fields,
            encounters=found,
            token=self.browser.visit(request).token,
            unfit=unfit,
        )

    async def _choose_encounter(self, request: Request, case: Case, fields: Fields, now_s: int) -> Response:
        chosen = fields.get("encounter")
        if chosen != NO_ENCOUNTER and chosen not in {found.id for found in await self._readable(case)}:
            return await self._encounters(request, case, fields, now_s, Unfit("encounter", NOT_A_VISIT))
        return await self._set_encounter(case, chosen, now_s)

    async def _readable(self, case: Case) -> Sequence[Encounter]:
        patient = case.patient
        return () if patient is None else await encounters(self.ports, case.base, case.who.person, patient)

    async def _set_encounter(self, case: Case, encounter: str | None, now_s: int) -> Response:
        digest, login = digest_of(case.id), case.who.session
        await self._undecided(lambda db: requests.choose_encounter(db, digest, login, encounter, now_s))
        return _on(approve_address(case.id))

    # --- The decision ------------------------------------------------------------------------------

    async def _allow(self, request: Request, case: Case, fields: Fields, now_s: int) -> Response:
        try:
            decision = read_decision(case, self._offer(case), self._purposes(case), days(case, now_s), fields)
        except Unfit as unfit:
            return self._page(request, case, fields, now_s, unfit)
        await self._claim(case.id, case.who, now_s)
        try:
            code = await approve(self.ports, case, decision, self.style_url, now_s)
        except BadRequest as refused:
            digest = digest_of(case.id)
            await self.ports.database.run(lambda db: requests.reopen_request(db, digest))
            return self._page(request, case, fields, now_s, Unfit("", refused.text))
        except (LedgerUnavailable, StateUnavailable):
            return _on(case.to.refusal(self.ports.issuer, UNAVAILABLE))
        return _on(case.to.address(self.ports.issuer, {"code": code}))

    async def _end(
        self, to: Destination, request_id: str, who: SignedIn, error: OAuthError, now_s: int
    ) -> Response:
        await self._claim(request_id, who, now_s)
        return _on(to.refusal(self.ports.issuer, error))

    async def _claim(self, request_id: str, who: SignedIn, now_s: int) -> None:
        digest, login = digest_of(request_id), who.session
        await self._undecided(lambda db: requests.claim_request(db, digest, login, now_s))

    async def _undecided(self, step: Callable[[Session], bool]) -> None:
        """Raises BadRequest if the request was decided meanwhile, or is over."""
        if not await self.ports.database.run(step):
            raise BadRequest(OVER)

    # --- Pages -------------------------------------------------------------------------------------

    def _page(
        self, request: Request, case: Case, fields: Fields, now_s: int, unfit: Unfit | None = None
    ) -> Response:
        choosing = case.needs_patient and case.patient is None
        return self.pages.page(
            "patient.html" if choosing else "approve.html",
            status=200 if unfit is None else 422,
            form_to=form_to(case.request.redirect_uri),
            case=case,
            given=fields,
            offer=self._offer(case),
            purposes=self._purposes(case),
            days=days(case, now_s),
            listed=len(case.choices) <= LISTED,
            few=FEW,
            token=self.browser.visit(request).token,
            unfit=unfit,
        )

    def _offer(self, case: Case) -> Offer:
        return offer(case.granted, self.words, case.base.types)

    def _purposes(self, case: Case) -> tuple[Purpose, ...]:
        """Those that the role of the tokens can be for: one that it is not for would open nothing."""
        if case.patient is not None and case.patient.authority is not None:
            return self.words.purposes["relative"]
        consents = case.patient is not None and case.patient.gives_consent
        return self.words.purposes["patient" if consents or not case.is_professional else "professional"]


def _on(address: str) -> Response:
    return RedirectResponse(address, 303, headers=HEADERS)
