"""The pages about passkeys, which need JavaScript: the log-in by one, and the person's own ones.

    GET, POST /auth/login/passkey    the log-in
    GET, POST /auth/passkeys         those one has: one more, or one less

The script asks the authenticator and sends the form; all else is as on every page. Whoever changes their
passkeys has logged in within the last minutes, or does so again first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.passkeys.keyring import Keyring
from gateway.auth.people.browser import SignedIn
from gateway.auth.people.forms import read_pairs
from gateway.auth.people.login_page import LOGIN, PASSKEY, LoginPage, link, on, only
from gateway.auth.people.waiting import FindWaiting, Waiting
from gateway.core.canon import b64url, unb64url
from gateway.errors import BadRequest

PASSKEYS: Final = "/auth/passkeys"
NEXT: Final = "passkeys"
"""What the log-in is told of who wants to go on here; no request has an id that short."""
FRESH_S: Final = 5 * 60


def passkey_routes(keyring: Keyring, page: LoginPage, now_s: Callable[[], int]) -> list[Route]:
    pages = _Pages(keyring, page, now_s)
    answering = page.pages.answering
    return [
        Route(PASSKEY, answering(pages.show_log_in), methods=["GET"]),
        Route(PASSKEY, answering(pages.log_in), methods=["POST"]),
        Route(PASSKEYS, answering(pages.show), methods=["GET"]),
        Route(PASSKEYS, answering(pages.take), methods=["POST"]),
    ]


def or_passkeys(find: FindWaiting, now_s: Callable[[], int]) -> FindWaiting:
    """`find`, and the way to one's passkeys by its own name."""

    async def found(name: str) -> Waiting | None:
        return Waiting(PASSKEYS, now_s() - FRESH_S) if name == NEXT else await find(name)

    return found


@dataclass(frozen=True, slots=True)
class _Pages:
    keyring: Keyring
    page: LoginPage
    now_s: Callable[[], int]

    # --- The log-in --------------------------------------------------------------------------------

    async def show_log_in(self, request: Request) -> Response:
        query = read_pairs(request.scope["query_string"])
        only(query, {"next"})
        return self._log_in_page(request, query.get("next", ""), await self._wanted(query), self.now_s())

    async def log_in(self, request: Request) -> Response:
        now_s, fields = self.now_s(), await self.page.browser.form(request)
        only(fields, {"next", "credential"})
        wanted, visit = await self._wanted(fields), self.page.browser.visit(request)
        try:
            entered = await self.keyring.log_in(fields.get("credential", ""), visit, now_s)
        except BadRequest as refused:
            return self._log_in_page(request, fields.get("next", ""), wanted, now_s, refused.text)
        return self.page.entered(entered, fields.get("next", ""), wanted)

    async def _wanted(self, fields: Mapping[str, str]) -> Waiting | None:
        return await self.page.wanted(fields.get("next", ""))

    def _log_in_page(
        self, request: Request, next_id: str, wanted: Waiting | None, now_s: int, error: str = ""
    ) -> Response:
        visit = self.page.browser.visit(request)
        response = self.page.pages.page(
            "passkey.html",
            status=422 if error else 200,
            form_to=() if wanted is None else wanted.form_to,
            script=True,
            options=self.keyring.to_log_in(visit, now_s),
            token=visit.token,
            next=next_id,
            error=error,
        )
        self.page.browser.keep(response, visit)
        return response

    # --- One's own ---------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        only(read_pairs(request.scope["query_string"]), set())
        now_s = self.now_s()
        who = await self._who(request, now_s)
        return on(link(LOGIN, NEXT)) if who is None else await self._own(request, who, now_s)

    async def take(self, request: Request) -> Response:
        now_s, fields = self.now_s(), await self.page.browser.form(request)
        who, visit = await self._who(request, now_s), self.page.browser.visit(request)
        if who is None:
            return on(link(LOGIN, NEXT))
        try:
            match fields:
                case {"step": "add", "name": name, "credential": answer} if len(fields) == 3:
                    await self.keyring.register(who, name, answer, visit, now_s)
                case {"step": "remove", "passkey": named} if len(fields) == 2:
                    await self.keyring.remove(who, _credential(named), now_s)
                case _:
                    raise BadRequest("This is not a step of this page.")
        except BadRequest as refused:
            return await self._own(request, who, now_s, refused.text)
        return on(PASSKEYS)

    async def _who(self, request: Request, now_s: int) -> SignedIn | None:
        """Who is logged in, if they have logged in just now."""
        who = await self.page.browser.signed_in(request, now_s)
        return None if who is None or who.auth_time_s < now_s - FRESH_S else who

    async def _own(self, request: Request, who: SignedIn, now_s: int, error: str = "") -> Response:
        visit = self.page.browser.visit(request)
        keys = await self.keyring.of(who.person.id)
        return self.page.pages.page(
            "passkeys.html",
            status=422 if error else 200,
            script=True,
            options=await self.keyring.to_register(who, visit, now_s),
            keys=[(b64url(key.id), key.name, _day(key.created_s), _day(key.used_s)) for key in keys],
            person=who.person,
            token=visit.token,
            error=error,
        )


def _credential(text: str) -> bytes:
    try:
        return unb64url(text)
    except ValueError as error:
        raise BadRequest("This is not one of your passkeys.") from error


def _day(at_s: int | None) -> datetime | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC)
