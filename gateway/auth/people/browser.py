"""What holds between a browser and this server: cookies, the token in each form, and who is logged in.

Every form carries a token, as the field `csrf`, that only a page of ours could have: an HMAC under the
browser's secret, which is in a cookie that scripts and other sites cannot read. A form without it changes
nothing, and neither does one that a browser says comes from elsewhere. On https the cookies are `__Host-`
ones: no other host can set them, and none gets them.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.people.factors import Caller, Entered
from gateway.auth.people.forms import read_form
from gateway.auth.people.registry import Person, person_of
from gateway.auth.store import sessions
from gateway.auth.store.attempts import DEVICE_S
from gateway.auth.store.database import Database, digest_of
from gateway.auth.store.people import Account
from gateway.core.canon import b64url
from gateway.errors import Forbidden

Second = Literal["code", "passkey"]
"""A code of who has codes, a passkey of who has only that. Who has both may take the passkey too."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`session` names the session (not its secret); `second_factor` is whether there was one."""

    person: Person
    session: str
    auth_time_s: int
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser. `secret` is its session's, or a new one if `is_new`; `token` is for the forms
    of the page that answers it."""

    secret: str = field(repr=False)
    is_new: bool
    device: str | None = field(repr=False)

    @property
    def token(self) -> str:
        return b64url(hmac.digest(self.secret.encode(), b"consentry/form/v1", "sha256"))

    def caller(self, address: str | None) -> Caller:
        return Caller(self.secret, self.device, address)


class Browser:
    """The browsers that use `public_url`. `new_secret` gives 43 characters of base64url."""

    def __init__(self, database: Database, public_url: str, new_secret: Callable[[], str]) -> None:
        self._database = database
        self._new_secret = new_secret
        parts = urlsplit(public_url)
        self._origin = f"{parts.scheme}://{parts.netloc}".lower()
        self._secure = parts.scheme == "https"
        prefix = "__Host-" if self._secure else ""
        self._session_cookie, self._device_cookie = f"{prefix}consentry", f"{prefix}consentry-device"

    def visit(self, request: Request) -> Visit:
        """What the browser's cookies say; ones that we did not make are as none."""
        secret, device = (_secret(request, name) for name in (self._session_cookie, self._device_cookie))
        return Visit(secret or self._new_secret(), secret is None, device)

    async def signed_in(self, request: Request, now_s: int) -> SignedIn | None:
        """Who is logged in, by all factors that they have; None if nobody is."""
        visit = self.visit(request)
        if visit.is_new:
            return None

        def work(session: Session) -> SignedIn | None:
            found = sessions.live_session(session, digest_of(visit.secret), now_s)
            if found is None or found.pending:
                return None
            account = session.get_one(Account, found.person)
            if account.disabled_s is not None:
                return None
            return SignedIn(person_of(account), found.id, found.created_s, found.factor in sessions.TWO)

        return await self._database.run(work)

    async def awaits(self, request: Request, now_s: int) -> Second | None:
        """By which second factor the person whom the browser has shown so far may go on; None if there is
        nobody, or none to come."""
        visit = self.visit(request)
        if visit.is_new:
            return None

        def work(session: Session) -> Second | None:
            found = sessions.live_session(session, digest_of(visit.secret), now_s)
            if found is None or not found.pending:
                return None
            return "passkey" if session.get_one(Account, found.person).totp is None else "code"

        return await self._database.run(work)

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form of ours, by name, without the token.

        Raises:
            Forbidden: it comes from another site, or from a page that is not this browser's (any more).
            BadRequest, PayloadTooLarge, UnsupportedMediaType: it is no form.
        """
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != self._origin:
            raise Forbidden("This form was sent from another site, so nothing was done.", "origin")
        fields = await read_form(request)
        visit = self.visit(request)
        given = fields.pop("csrf", "").encode()
        if visit.is_new or not hmac.compare_digest(given, visit.token.encode()):
            raise Forbidden(
                "This page had been open for too long, or cookies are off. Go back, load it again and try "
                "once more.",
                "form",
            )
        return fields

    def keep(self, response: Response, visit: Visit) -> None:
        """Gives a browser that has no secret its first, so that the forms of this page count."""
        if visit.is_new:
            self._set(response, self._session_cookie, visit.secret, None)

    def enter(self, response: Response, entered: Entered) -> None:
        self._set(response, self._session_cookie, entered.secret, None)
        if entered.device is not None:
            self._set(response, self._device_cookie, entered.device, DEVICE_S)

    def leave(self, response: Response) -> None:
        self._set(response, self._session_cookie, "", 0)

    def _set(self, response: Response, name: str, value: str, max_age_s: int | None) -> None:
        response.set_cookie(
            name, value, max_age=max_age_s, path="/", secure=self._secure, httponly=True, samesite="lax"
        )


def _secret(request: Request, name: str) -> str | None:
    value = request.cookies.get(name, "")
    return value if _SECRET.fullmatch(value) else None
