"""The log-in page: a password, perhaps a code, and on to whatever waits for the person.

    GET  /auth/login    the form of the next step; on, for who is logged in
    POST /auth/login    one step; the answer is a page that says no, or a redirect to the next
    POST /auth/logout   ends the session

`next` is the id of an authorization request that waits, never an address: where a browser goes is ours to
say. An id that is not known is refused before a password is looked at.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.pages import HEADERS, Pages
from gateway.auth.people.browser import Browser, SignedIn
from gateway.auth.people.factors import Entered, Factors, Refused
from gateway.auth.people.forms import read_pairs
from gateway.auth.people.waiting import FindWaiting, Waiting
from gateway.errors import BadRequest

LOGIN: Final = "/auth/login"
LOGOUT: Final = "/auth/logout"
OVER: Final = "This request is over or was never made. Go back to the app and start again."

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


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
    browser: Browser,
    pages: Pages,
    waiting: FindWaiting,
    now_s: Callable[[], int],
    address_of: Callable[[Request], str | None] = peer_address,
) -> list[Route]:
    """`now_s` is the clock, read once a request; `address_of` tells clients apart."""
    login = _Login(factors, browser, pages, waiting, now_s, address_of)
    return [
        Route(LOGIN, pages.answering(login.show), methods=["GET"]),
        Route(LOGIN, pages.answering(login.take), methods=["POST"]),
        Route(LOGOUT, pages.answering(login.leave), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class _Login:
    factors: Factors
    browser: Browser
    pages: Pages
    waiting: FindWaiting
    now_s: Callable[[], int]
    address_of: Callable[[Request], str | None]

    async def show(self, request: Request) -> Response:
        now_s, query = self.now_s(), read_pairs(request.scope["query_string"])
        _only(query, {"next"})
        wanted = await self._wanted(query)
        signed_in = await self.browser.signed_in(request, now_s)
        if signed_in is not None and (wanted is None or signed_in.auth_time_s >= wanted.auth_after_s):
            return self._inside(request, signed_in) if wanted is None else _on(wanted.path)
        step = "code" if await self.browser.awaits_code(request, now_s) else "password"
        return self._form(request, step, query.get("next", ""), wanted)

    async def take(self, request: Request) -> Response:
        now_s, fields = self.now_s(), await self.browser.form(request)
        wanted = await self._wanted(fields)
        match fields.get("step"):
            case "password":
                _only(fields, {"step", "next", "login", "password"})
                return await self._password(request, fields, wanted, now_s)
            case "code":
                _only(fields, {"step", "next", "code"})
                return await self._code(request, fields, wanted, now_s)
            case "again":
                return await self._again(request, fields, now_s)
            case _:
                raise BadRequest("This is not a step of the log-in.")

    async def leave(self, request: Request) -> Response:
        _only(await self.browser.form(request), set())
        await self.factors.leave(self.browser.visit(request).caller(None), self.now_s())
        response = _on(LOGIN)
        self.browser.leave(response)
        return response

    async def _password(
        self, request: Request, fields: Mapping[str, str], wanted: Waiting | None, now_s: int
    ) -> Response:
        login, caller = fields.get("login", ""), self.browser.visit(request).caller(self.address_of(request))
        done = await self.factors.by_password(login, fields.get("password", ""), caller, now_s)
        if isinstance(done, Entered):
            return self._entered(done, fields, wanted)
        wrong = "The login name or the password is not right."
        return self._refused(request, "password", fields, wanted, done, wrong)

    async def _code(
        self, request: Request, fields: Mapping[str, str], wanted: Waiting | None, now_s: int
    ) -> Response:
        caller = self.browser.visit(request).caller(None)
        done = await self.factors.by_code(fields.get("code", ""), caller, now_s)
        if isinstance(done, Entered):
            return self._entered(done, fields, wanted)
        if done is None:
            late = "That took too long. Please log in again."
            return self._refused(request, "password", fields, wanted, Refused(), late)
        wrong = "The code is not right, or has been used. Wait for the next one and type that."
        return self._refused(request, "code", fields, wanted, done, wrong)

    async def _again(self, request: Request, fields: Mapping[str, str], now_s: int) -> Response:
        """Back to the first step, as somebody else perhaps."""
        await self.factors.leave(self.browser.visit(request).caller(None), now_s)
        response = _on(_login_address(fields))
        self.browser.leave(response)
        return response

    async def _wanted(self, fields: Mapping[str, str]) -> Waiting | None:
        """What the person is to go on to. Raises BadRequest for an id that is not known."""
        if not (name := fields.get("next", "")):
            return None
        wanted = await self.waiting(name) if _ID.fullmatch(name) else None
        if wanted is None:
            raise BadRequest(OVER)
        return wanted

    def _entered(self, done: Entered, fields: Mapping[str, str], wanted: Waiting | None) -> Response:
        complete = done.device is not None and wanted is not None
        response = _on(wanted.path if complete and wanted is not None else _login_address(fields))
        self.browser.enter(response, done)
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
        return self._form(
            request, step, fields.get("next", ""), wanted,
            error=said, login=fields.get("login", ""), status=status, headers=headers,
        )  # fmt: skip

    def _form(
        self,
        request: Request,
        step: str,
        next_id: str,
        wanted: Waiting | None,
        *,
        error: str = "",
        login: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        visit = self.browser.visit(request)
        response = self.pages.page(
            f"{step}.html",
            status=status,
            form_to=() if wanted is None else wanted.form_to,
            headers=headers,
            token=visit.token,
            next=next_id,
            error=error,
            login=login,
        )
        self.browser.keep(response, visit)
        return response

    def _inside(self, request: Request, signed_in: SignedIn) -> Response:
        token = self.browser.visit(request).token
        return self.pages.page("signed_in.html", person=signed_in.person, token=token)


def _only(fields: Mapping[str, str], known: set[str]) -> None:
    if not fields.keys() <= known:
        raise BadRequest("The request has a field that is not known here.")


def _on(path: str) -> Response:
    return RedirectResponse(path, 303, headers=HEADERS)


def _login_address(fields: Mapping[str, str]) -> str:
    next_id = fields.get("next", "")
    return f"{LOGIN}?{urlencode({'next': next_id})}" if next_id else LOGIN


def _duration(seconds: int) -> str:
    return (
        f"{seconds} second{'s' if seconds != 1 else ''}" if seconds <= 90 else f"{-(-seconds // 60)} minutes"
    )
