"""The log-in at another provider: the browser goes there, comes back with a code, and is logged in here.

    GET /auth/login/with/{name}        to the provider
    GET /auth/login/callback/{name}    back from it; on, or a page that says why not

What comes back counts once, for the browser that was sent, from the provider that it was sent to. Whatever
is wrong with it leaves no session. What a provider writes is never shown: its errors are said in our words.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.people.factors import Entered, Factors
from gateway.auth.people.forms import read_pairs
from gateway.auth.people.login_page import LOGIN, WITH, LoginPage, link, on, only
from gateway.auth.people.waiting import Waiting
from gateway.auth.providers.exchange import Attempt, OpenIdProvider
from gateway.auth.providers.metadata import ProviderFailed
from gateway.auth.store import delegations, sessions
from gateway.auth.store.database import Database, digest_of
from gateway.auth.store.delegations import Delegation
from gateway.core.smart.id_token import LoggedIn
from gateway.errors import BadRequest, NotFound, Unauthenticated

CALLBACK: Final = "/auth/login/callback"
STALE: Final = "This log-in is over, or was begun in another browser. Go back and start again."
NOT_DONE: Final = "You did not finish the log-in at {title}. Try again, or log in another way."
NOT_THERE: Final = "{title} is not available at the moment. Try again later."
NOT_SOUND: Final = "The log-in at {title} did not work. If that stays so, tell the office."
STRANGER: Final = (
    "Your account at {title} is not known here yet. Ask the office that invited you to connect it."
)
# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6. All others are between the two servers.
SAID: Final = {
    "access_denied": NOT_DONE,
    "login_required": NOT_DONE,
    "interaction_required": NOT_DONE,
    "account_selection_required": NOT_DONE,
    "consent_required": NOT_DONE,
    "server_error": NOT_THERE,
    "temporarily_unavailable": NOT_THERE,
}

log = logging.getLogger("consentry.auth")


def provider_routes(
    providers: Sequence[OpenIdProvider],
    page: LoginPage,
    factors: Factors,
    database: Database,
    *,
    key: bytes,
    new_secret: Callable[[], str],
    now_s: Callable[[], int],
) -> list[Route]:
    """`key` is secret, 32 bytes; `now_s` is the clock, read once a request but for the wait at a provider."""
    by_name = {each.rule.name: each for each in providers}
    login = _ProviderLogin(by_name, page, factors, database, key, new_secret, now_s)
    answering = page.pages.answering
    return [
        Route(WITH + "/{name}", answering(login.leave), methods=["GET"]),
        Route(CALLBACK + "/{name}", answering(login.come_back), methods=["GET"]),
    ]


@dataclass(frozen=True, slots=True)
class _ProviderLogin:
    providers: Mapping[str, OpenIdProvider]
    page: LoginPage
    factors: Factors
    database: Database
    key: bytes = field(repr=False)
    new_secret: Callable[[], str]
    now_s: Callable[[], int]

    async def leave(self, request: Request) -> Response:
        now_s, query = self.now_s(), read_pairs(request.scope["query_string"])
        only(query, {"next", "again"})
        provider, next_id = self._provider(request), query.get("next", "")
        wanted = await self.page.wanted(next_id)
        if self.page.ways.only is None and request.headers.get("sec-fetch-site") in (
            "cross-site",
            "same-site",
        ):
            return on(link(LOGIN, next_id))  # who has a choice makes it here, and no other site for them
        auth_after_s = provider.rule.auth_after_s(0 if wanted is None else wanted.auth_after_s, now_s)
        attempt = Attempt(self.new_secret(), self.key, now_s, auth_after_s)
        try:
            address = await provider.address(attempt, anew="again" in query)
        except ProviderFailed as failed:
            return self._failed(request, provider, NOT_THERE, next_id, wanted, failed)
        visit = self.page.browser.visit(request)
        made = Delegation(
            digest=digest_of(attempt.state),
            browser=digest_of(visit.secret),
            provider=provider.rule.name,
            next=next_id,
            auth_after_s=auth_after_s,
            created_s=now_s,
            exp_s=now_s + delegations.LASTS_S,
        )
        await self.database.run(lambda session: delegations.add_delegation(session, made))
        response = on(address)
        self.page.browser.keep(response, visit)
        return response

    async def come_back(self, request: Request) -> Response:
        now_s, answer = self.now_s(), read_pairs(request.scope["query_string"])
        provider = self._provider(request)
        begun = await self._claim(request, provider, answer.get("state", ""), now_s)
        wanted = await self.page.wanted(begun.next)
        attempt = Attempt(answer["state"], self.key, begun.created_s, begun.auth_after_s)
        try:
            await provider.check_sender(answer.get("iss"), now_s)
            if "error" in answer:
                said = SAID.get(answer["error"], NOT_SOUND)
                return self._failed(request, provider, said, begun.next, wanted)
            if "code" not in answer:
                raise ProviderFailed("its answer has neither a code nor an error")
            who = await provider.redeem(answer["code"], attempt, now_s)
            entered = await self._enter(request, provider, who)
        except ProviderFailed as failed:
            return self._failed(request, provider, NOT_SOUND, begun.next, wanted, failed)
        if entered is None:
            # What the operator needs, to link the account to a person.
            rule = provider.rule
            log.warning("nobody here is an account of the provider %s: %s", rule.name, rule.spelled(who))
            said = STRANGER.format(title=rule.title)
            return self.page.pages.page(
                "stranger.html", status=403, text=said, again=link(LOGIN, begun.next, again=True)
            )
        return self.page.entered(entered, begun.next, wanted)

    def _provider(self, request: Request) -> OpenIdProvider:
        provider = self.providers.get(request.path_params["name"])
        if provider is None:
            raise NotFound("There is no such way to log in.")
        return provider

    async def _claim(self, request: Request, provider: OpenIdProvider, state: str, now_s: int) -> Delegation:
        """Raises BadRequest for an answer that this browser does not wait for, or not from here."""
        visit, name = self.page.browser.visit(request), provider.rule.name
        if visit.is_new:
            raise BadRequest(STALE)
        digests = digest_of(state), digest_of(visit.secret)
        begun = await self.database.run(
            lambda session: delegations.claim_delegation(session, *digests, name, now_s)
        )
        if begun is None:
            raise BadRequest(STALE)
        return begun

    async def _enter(self, request: Request, provider: OpenIdProvider, who: LoggedIn) -> Entered | None:
        rule, caller = provider.rule, self.page.browser.visit(request).caller(None)
        factor = sessions.PROVIDER_TWO if rule.saw_two_factors(who) else sessions.PROVIDER
        try:
            return await self.factors.by_another(
                lambda session: rule.person(session, who), factor, caller, self.now_s(), who.auth_time_s
            )
        except Unauthenticated as refused:
            raise ProviderFailed(f"its id_token: {refused.text}") from refused

    def _failed(
        self,
        request: Request,
        provider: OpenIdProvider,
        said: str,
        next_id: str,
        wanted: Waiting | None,
        failed: ProviderFailed | None = None,
    ) -> Response:
        if failed is not None:
            log.warning("A log-in at the provider %s failed: %s", provider.rule.name, failed)
        text, status = said.format(title=provider.rule.title), 503 if said == NOT_THERE else 422
        return self.page.show(request, "password", next_id, wanted, error=text, again=True, status=status)
