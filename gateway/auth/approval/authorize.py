"""The authorization endpoint: checks what an app asks for, keeps it, and sends the browser on to decide.

    GET, POST /auth/authorize    303 to the page; 302 to the app with an error; a page for a bad address

A POST comes from another site's page, and so without our cookies (SMART App Launch 2.2, authorize-post):
nothing here rests on a cookie, and none is set, which would end the session that the browser has. The
answer to the app carries `iss` (RFC 9207).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.auth import http
from gateway.auth.approval.asking import Asked, Clients, Destination, read_asked, read_destination
from gateway.auth.pages import HEADERS, Pages, source_of
from gateway.auth.people.browser import Browser
from gateway.auth.people.waiting import FindWaiting, Waiting
from gateway.auth.ports import Ports
from gateway.auth.store import launches, requests
from gateway.auth.store.database import digest_of
from gateway.auth.store.requests import PendingRequest
from gateway.core.smart import parameters
from gateway.errors import MethodNotAllowed, OAuthError, StateUnavailable, UnsupportedMediaType

AUTHORIZE: Final = "/auth/authorize"
APPROVE: Final = "/auth/approve"
UNAVAILABLE: Final = OAuthError("temporarily_unavailable", "The authorization server is not available.", 503)

_FORM: Final = "application/x-www-form-urlencoded"


def authorize_routes(ports: Ports, clients: Clients, browser: Browser, pages: Pages) -> list[Route]:
    authorize = _Authorize(ports, clients, browser, pages)
    return [Route(AUTHORIZE, pages.answering(authorize.answer), methods=["GET", "POST"])]


def approve_address(request_id: str) -> str:
    return f"{APPROVE}?{urlencode({'request': request_id})}"


def form_to(redirect_uri: str) -> tuple[str, ...]:
    """The sources that a page's form may end at: the app's, or its scheme where policies have no word for
    the host (an IPv6 address, an underscore: CSP 3 section 2.3.1)."""
    scheme = redirect_uri.partition(":")[0].lower()
    try:
        source = source_of(redirect_uri)
    except ValueError:
        return (f"{scheme}:",)
    return (f"{scheme}:" if "[" in source else source,)


def find_waiting(ports: Ports) -> FindWaiting:
    """What the log-in asks about a request that waits for it."""

    async def find(request_id: str) -> Waiting | None:
        digest, now_s = digest_of(request_id), ports.now_ms() // 1000
        found = await ports.database.run(lambda session: requests.waiting_request(session, digest, now_s))
        if found is None:
            return None
        return Waiting(approve_address(request_id), found.auth_after_s, form_to(found.redirect_uri))

    return find


@dataclass(frozen=True, slots=True)
class _Authorize:
    ports: Ports
    clients: Clients
    browser: Browser
    pages: Pages

    async def answer(self, request: Request) -> Response:
        now_s, data = self.ports.now_ms() // 1000, await _parameters(request)
        to = await read_destination(data, self.clients)
        try:
            asked = read_asked(data, to.client, self.ports.bases, now_s)
            if asked.silent:
                raise await self._not_silently(request, asked, now_s)
            request_id = await self._keep(to, asked, now_s)
        except OAuthError as error:
            return self._refused(to, error)
        except StateUnavailable:
            return self._refused(to, UNAVAILABLE)
        return RedirectResponse(approve_address(request_id), 303, headers=HEADERS)

    async def _not_silently(self, request: Request, asked: Asked, now_s: int) -> OAuthError:
        """OpenID Connect Core section 3.1.2.6; a person decides each time, so it is always one of these."""
        signed_in = await self.browser.signed_in(request, now_s)
        if signed_in is None or signed_in.auth_time_s < asked.auth_after_s:
            return OAuthError("login_required", "Nobody is logged in.")
        return OAuthError("consent_required", "A person has to decide about this request.")

    async def _keep(self, to: Destination, asked: Asked, now_s: int) -> str:
        """The id of the request, which is kept until it is decided. Raises OAuthError for a launch value
        that is not for this request."""
        request_id = self.ports.new_secret()
        launch = None if asked.launch is None else digest_of(asked.launch)
        made = PendingRequest(
            digest=digest_of(request_id),
            client=to.client.id,
            redirect_uri=to.redirect_uri,
            state=to.state,
            scope=asked.scope,
            base=asked.base.url,
            challenge=asked.challenge,
            nonce=asked.nonce,
            jkt=asked.jkt,
            auth_after_s=asked.auth_after_s,
            launch=launch,
            created_s=now_s,
            exp_s=now_s + requests.WAITS_S,
        )

        def work(session: Session) -> None:
            if launch is not None and not launches.claim_launch(
                session, launch, to.client.id, asked.base.url, now_s
            ):
                raise OAuthError("invalid_request", "The launch value cannot be used, or not any more.")
            requests.add_request(session, made)

        await self.ports.database.run(work)
        return request_id

    def _refused(self, to: Destination, error: OAuthError) -> Response:
        return RedirectResponse(to.refusal(self.ports.issuer, error), 302, headers=HEADERS)


async def _parameters(request: Request) -> bytes:
    """The parameters, still encoded: those of the address and, of a POST, of the form with them."""
    query: bytes = request.scope["query_string"]
    if request.method == "GET":
        return query
    if request.method != "POST":
        raise MethodNotAllowed("An app asks for access by GET or POST.")
    if http.media_type(request) != _FORM:
        raise UnsupportedMediaType("The request is not a form.")
    return b"&".join(filter(None, (query, await http.read_body(request, parameters.MAX_BYTES))))
