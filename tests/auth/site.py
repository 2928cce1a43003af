"""A small site with people, log-in and a page behind it, and browsers that walk through it."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from pyotp import TOTP
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.auth.pages import Pages
from gateway.auth.passkeys.ceremony import Ceremonies
from gateway.auth.passkeys.challenge import Challenges
from gateway.auth.passkeys.keyring import Keyring
from gateway.auth.passkeys.pages import or_passkeys, passkey_routes
from gateway.auth.people.authorities import Authorities
from gateway.auth.people.browser import Browser
from gateway.auth.people.factors import Factors
from gateway.auth.people.login import login_routes
from gateway.auth.people.login_page import LoginPage, Ways
from gateway.auth.people.passwords import Cost, Passwords
from gateway.auth.people.registry import TABLES, People, Profile
from gateway.auth.people.totp import Sealer
from gateway.auth.people.waiting import Waiting
from gateway.auth.providers.exchange import OpenIdProvider
from gateway.auth.providers.login import provider_routes
from gateway.auth.store import delegations, links
from gateway.auth.store.database import Database
from gateway.core.canon import b64url
from gateway.core.record import Draft
from gateway.core.values import Ref
from gateway.ledger.reading import Receipt

CHEAP = Cost(passes=1, memory_kib=8, lanes=1)
KEY = bytes(range(32))
START_S = 1_790_000_010  # ten seconds into a step of the codes
PASSWORD = "correct horse battery"
HTTPS, HTTP = "https://gw.example", "http://127.0.0.1:8080"
STRANGER = ("203.0.113.5", 40000)


def new_secret() -> str:
    return b64url(os.urandom(32))


@dataclass
class Site:
    """`waiting` are the authorization requests that wait, by id; `now_s` is the time, which stands still."""

    database: Database
    public_url: str = HTTPS
    now_s: int = START_S
    waiting: dict[str, Waiting] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=count)
    ways: Ways = field(default_factory=Ways)
    providers: list[OpenIdProvider] = field(default_factory=list)
    recorded: list[Draft] = field(default_factory=list)
    failing: Exception | None = None
    passkeys: bool = False

    def __post_init__(self) -> None:
        passwords, sealer = Passwords(CHEAP), Sealer(KEY, os.urandom)
        self.people = People(self.database, passwords, sealer, self.new_id)
        self.authorities = Authorities(self.database, self.new_id, self.record, "p-1")
        self.factors = Factors(
            self.database, passwords, sealer, key=KEY, new_id=self.new_id, new_secret=new_secret
        )
        self.browser = Browser(self.database, self.public_url, new_secret)
        self.pages = Pages(passkeys=self.passkeys)

    async def record(self, drafts: Sequence[Draft]) -> list[Receipt]:
        """A ledger that keeps nothing but the drafts."""
        if self.failing is not None:
            raise self.failing
        self.recorded += drafts
        last = len(self.recorded)
        return [Receipt("here", index, bytes(32)) for index in range(last - len(drafts), last)]

    def keyring(self) -> Keyring:
        challenges = Challenges(KEY, os.urandom)
        return Keyring(self.database, self.factors, Ceremonies(self.public_url), challenges)

    def clock(self) -> int:
        return self.now_s

    def new_id(self) -> str:
        return f"id-{next(self.ids)}"

    def app(self) -> Starlette:
        async def waiting(name: str) -> Waiting | None:
            return self.waiting.get(name)

        async def who(request: Request) -> Response:
            found = await self.browser.signed_in(request, self.now_s)
            return JSONResponse(None if found is None else [found.person.login, found.second_factor])

        async def approve(_: Request) -> Response:
            return Response("the request goes on")

        page = LoginPage(self.browser, self.pages, or_passkeys(waiting, self.clock), self.ways)
        login = login_routes(self.factors, page, self.clock)
        elsewhere = provider_routes(
            self.providers, page, self.factors, self.database,
            key=KEY, new_secret=new_secret, now_s=self.clock,
        )  # fmt: skip
        routes = [
            *login,
            *elsewhere,
            *(passkey_routes(self.keyring(), page, self.clock) if self.passkeys else ()),
            *self.pages.routes(),
            Route("/who", who),
            Route("/auth/approve", approve),
        ]
        return Starlette(routes=routes)

    async def add(self, login: str = "anna", **profile: Any) -> None:
        given = {"name": "Anna Ek", "user": Ref("Patient", "pat-a"), **profile}
        await self.people.add(Profile(login, **given), PASSWORD, self.now_s)

    async def add_with_code(self, login: str = "bo") -> TOTP:
        """Whose codes are those of the answer."""
        await self.add(login, name="Bo Berg", user=Ref("Practitioner", "prac-1"))
        return TOTP(await self.people.new_second_factor(login, self.now_s))

    @asynccontextmanager
    async def visitor(self, address: tuple[str, int] = STRANGER) -> AsyncIterator[Visitor]:
        """A browser with no cookies yet."""
        transport = httpx.ASGITransport(self.app(), client=address)
        async with httpx.AsyncClient(transport=transport, base_url=self.public_url) as client:
            yield Visitor(client)


def make_site(folder: Path, public_url: str = HTTPS, *, passkeys: bool = False) -> Site:
    tables = (*TABLES, *links.TABLES, *delegations.TABLES)
    return Site(Database(folder / "auth.db", tables), public_url, passkeys=passkeys)


@dataclass
class Visitor:
    client: httpx.AsyncClient

    async def page(self, next_id: str = "") -> httpx.Response:
        return await self.client.get("/auth/login", params={"next": next_id} if next_id else {})

    async def submit(self, page: httpx.Response, button: str, **fields: str | None) -> httpx.Response:
        """Sends the form of the page by one of its buttons, with these fields; None leaves one out."""
        form = read_page(page.text)
        assert button in form.buttons, page.text
        sent = {**form.fields, "step": button, **fields}
        data = {name: value for name, value in sent.items() if value is not None}
        return await self.client.post(form.action, data=data)

    async def password(
        self, login: str = "anna", password: str = PASSWORD, next_id: str = ""
    ) -> httpx.Response:
        return await self.submit(await self.page(next_id), "password", login=login, password=password)

    async def code(self, code: str, next_id: str = "") -> httpx.Response:
        return await self.submit(await self.page(next_id), "code", code=code)

    async def log_out(self) -> httpx.Response:
        return await self.submit(await self.page(), "", step=None)

    async def who(self) -> Any:
        """Who is logged in: the login name, and whether there was a second factor."""
        return (await self.client.get("/who")).json()

    def cookie(self, suffix: str = "") -> str | None:
        """The value of the session's cookie, or of the one that knows the browser (`-device`)."""
        return next((c.value for c in self.client.cookies.jar if c.name.endswith("consentry" + suffix)), None)


@dataclass
class Form(HTMLParser):
    """The one form of a page: where it goes, its fields as they are, and the values of its buttons."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self.action = has["action"] or ""
        elif tag == "input":
            self.fields[has["name"] or ""] = has.get("value") or ""
        elif tag == "button":
            self.buttons.add(has.get("value") or "")


def read_page(text: str) -> Form:
    form = Form()
    form.feed(text)
    return form


def alert_of(page: httpx.Response) -> str:
    found = re.search(r'role="alert"[^>]*>([^<]*)<', page.text)
    return "" if found is None else found[1]
