"""The log-in: a password or a provider, perhaps a code, and on to whatever waits for the person.

    GET  /auth/login    the form of the next step; on, for who is logged in
    POST /auth/login    one step; the answer is a page that says no, or a redirect to the next
    POST /auth/logout   ends the session

`next` is the id of an authorization request that waits, never an address: where a browser goes is ours to
say. An id that is not known is refused before a password is looked at. Where there is only one provider, and
no password, the page is passed over, but for who has just logged out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.people.browser import SignedIn
from gateway.auth.people.factors import Entered, Factors, Refused
from gateway.auth.people.forms import read_pairs
from gateway.auth.people.login_page import LOGIN, PASSKEY, WITH, LoginPage, link, on, only
from gateway.auth.people.waiting import Waiting
from gateway.errors import BadRequest

LOGOUT: Final = "/auth/logout"
NO_PASSKEYS: Final = "You have a passkey, which cannot be used here any more. Ask the office to remove it."


def peer_address(request: Request) -> str | None:
    """The network that the connection comes from; None for this machine: that is the proxy before us, or
    somebody who needs no network. Of IPv6 the /64, which is what one household has."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return None
    if address.is_loopback:
        return None
    return str(ipaddress.ip_network((address, 64 if address.version == 6 else 32), strict=False))


def login_routes(
    factors: Factors,
    page: LoginPage,
    now_s: Callable[[], int],
    address_of: Callable[[Request], str | None] = peer_address,
) -> list[Route]:
    """`now_s` is the clock, read once a request; `address_of` tells clients apart."""
    login = _Login(factors, page, now_s, address_of)
    answering = page.pages.answering
    return [
        Route(LOGIN, answering(login.show), methods=["GET"]),
        Route(LOGIN, answering(login.take), methods=["POST"]),
        Route(LOGOUT, answering(login.leave), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class _Login:
    factors: Factors
    page: LoginPage
    now_s: Callable[[], int]
    address_of: Callable[[Request], str | None]

    async def show(self, request: Request) -> Response:
        now_s, query = self.now_s(), read_pairs(request.scope["query_string"])
        only(query, {"next", "again"})
        next_id, again, browser = query.get("next", ""), "again" in query, self.page.browser
        wanted = await self.page.wanted(next_id)
        signed_in = await browser.signed_in(request, now_s)
        if signed_in is not None and (wanted is None or signed_in.auth_time_s >= wanted.auth_after_s):
            return self._inside(request, signed_in) if wanted is None else on(wanted.path)
        match await browser.awaits(request, now_s):
            case "code":
                return self.page.show(request, "code", next_id, wanted)
            case "passkey" if self.page.pages.passkeys:
                return on(link(PASSKEY, next_id))
            case "passkey":
                return self.page.show(request, "password", next_id, wanted, error=NO_PASSKEYS, status=422)
            case None:
                pass
        if (sole := self.page.ways.only) is not None and not again:
            return on(link(f"{WITH}/{sole.name}", next_id))
        return self.page.show(request, "password", next_id, wanted, again=again)

    async def take(self, request: Request) -> Response:
        now_s, fields = self.now_s(), await self.page.browser.form(request)
        wanted = await self.page.wanted(fields.get("next", ""))
        match fields.get("step"):
            case "password" if self.page.ways.local:
                only(fields, {"step", "next", "login", "password"})
                return await self._password(request, fields, wanted, now_s)
            case "code":
                only(fields, {"step", "next", "code"})
                return await self._code(request, fields, wanted, now_s)
            case "again":
                return await self._left(request, fields.get("next", ""), now_s)
            case _:
                raise BadRequest("This is not a step of the log-in.")

    async def leave(self, request: Request) -> Response:
        only(await self.page.browser.form(request), set())
        return await self._left(request, "", self.now_s())

    async def _password(
        self, request: Request, fields: Mapping[str, str], wanted: Waiting | None, now_s: int
    ) -> Response:
        login, visit = fields.get("login", ""), self.page.browser.visit(request)
        caller = visit.caller(self.address_of(request))
        done = await self.factors.by_password(login, fields.get("password", ""), caller, now_s)
        if isinstance(done, Entered):
            return self.page.entered(done, fields.get("next", ""), wanted)
        wrong = "The login name or the password is not right."
        return self._refused(request, "password", fields, wanted, done, wrong)

    async def _code(
        self, request: Request, fields: Mapping[str, str], wanted: Waiting | None, now_s: int
    ) -> Response:
        caller = self.page.browser.visit(request).caller(None)
        done = await self.factors.by_code(fields.get("code", ""), caller, now_s)
        if isinstance(done, Entered):
            return self.page.entered(done, fields.get("next", ""), wanted)
        if done is None:
            late = "That took too long. Please log in again."
            return self._refused(request, "password", fields, wanted, Refused(), late)
        wrong = "The code is not right, or has been used. Wait for the next one and type that."
        return self._refused(request, "code", fields, wanted, done, wrong)

    async def _left(self, request: Request, next_id: str, now_s: int) -> Response:
        """Back to the first step, as somebody else perhaps."""
        await self.factors.leave(self.page.browser.visit(request).caller(None), now_s)
        response = on(link(LOGIN, next_id, again=bool(self.page.ways.providers)))
        self.page.browser.leave(response)
        return response

    def _refused(
        self,
        request: Request,
        step: str,
        fields: Mapping[str, str],
        wanted: Waiting | None,
        refused: Refused,
        wrong: str,
    ) -> Response:
        status, headers, said = 422, {}, wrong
        if refused.wait_s:
            status, headers = 429, {"Retry-After": str(refused.wait_s)}
            said = f"There were too many attempts. Wait {_duration(refused.wait_s)} and try again."
        return self.page.show(
            request, step, fields.get("next", ""), wanted,
            error=said, login=fields.get("login", ""), status=status, headers=headers,
        )  # fmt: skip

    def _inside(self, request: Request, signed_in: SignedIn) -> Response:
        token = self.page.browser.visit(request).token
        return self.page.pages.page("signed_in.html", person=signed_in.person, token=token)


def _duration(seconds: int) -> str:
    return (
        f"{seconds} second{'s' if seconds != 1 else ''}" if seconds <= 90 else f"{-(-seconds // 60)} minutes"
    )
