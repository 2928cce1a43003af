"""The page of the log-in: the form of one step, and the providers that one can log in at instead.

A provider is a link, as a form would be held to addresses that the page must name: which ones a provider
leads on to is its own affair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.auth.pages import HEADERS, Pages
from gateway.auth.people.browser import Browser
from gateway.auth.people.factors import Entered
from gateway.auth.people.waiting import FindWaiting, Waiting
from gateway.errors import BadRequest

LOGIN: Final = "/auth/login"
WITH: Final = "/auth/login/with"
PASSKEY: Final = "/auth/login/passkey"
OVER: Final = "This request is over or was never made. Go back to the app and start again."

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class Elsewhere(NamedTuple):
    """A provider by its name in addresses, and by its name on pages."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Ways:
    """How people log in: here, with a password, and at which providers. There is one way at least."""

    local: bool = True
    providers: tuple[Elsewhere, ...] = ()

    def __post_init__(self) -> None:
        if not self.local and not self.providers:
            raise ValueError("nobody could log in")

    @property
    def only(self) -> Elsewhere | None:
        """The provider that everybody logs in at, where there is nothing to choose."""
        return self.providers[0] if not self.local and len(self.providers) == 1 else None


@dataclass(frozen=True, slots=True)
class LoginPage:
    browser: Browser
    pages: Pages
    waiting: FindWaiting
    ways: Ways

    async def wanted(self, next_id: str) -> Waiting | None:
        """What the person is to go on to. Raises BadRequest for an id that is not known."""
        if not next_id:
            return None
        wanted = await self.waiting(next_id) if _ID.fullmatch(next_id) else None
        if wanted is None:
            raise BadRequest(OVER)
        return wanted

    def show(
        self,
        request: Request,
        step: str,
        next_id: str,
        wanted: Waiting | None,
        *,
        error: str = "",
        login: str = "",
        again: bool = False,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The page of `step`, `password` or `code`. `again` is for who must not be logged in elsewhere
        without being asked: they have just logged out."""
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
            local=self.ways.local,
            passkey=link(PASSKEY, next_id) if self.pages.passkeys and self.ways.local else "",
            providers=[
                (each.title, link(f"{WITH}/{each.name}", next_id, again=again))
                for each in self.ways.providers
            ],
        )
        self.browser.keep(response, visit)
        return response

    def entered(self, done: Entered, next_id: str, wanted: Waiting | None) -> Response:
        """On from a step that went well: to what waits, or to the next step."""
        complete = done.device is not None and wanted is not None
        response = on(wanted.path if complete and wanted is not None else link(LOGIN, next_id))
        self.browser.enter(response, done)
        return response


def on(path: str) -> Response:
    return RedirectResponse(path, 303, headers=HEADERS)


def only(fields: Mapping[str, str], known: set[str]) -> None:
    """Raises BadRequest for a field that is not known."""
    if not fields.keys() <= known:
        raise BadRequest("The request has a field that is not known here.")


def link(path: str, next_id: str, *, again: bool = False) -> str:
    query = {name: value for name, value in (("next", next_id), ("again", "1" if again else "")) if value}
    return f"{path}?{urlencode(query)}" if query else path
