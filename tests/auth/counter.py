"""The whole way of a person through an app's request, over a real ledger: authorize, log in, choose, decide,
manage. A browser here reads pages as one does: it sends the fields of one form, ticked boxes only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from starlette.applications import Starlette

from gateway.auth.approval.approve import approve_routes
from gateway.auth.approval.authorize import authorize_routes, find_waiting
from gateway.auth.approval.launch import launch_routes
from gateway.auth.approval.manage import manage_routes, or_manage
from gateway.auth.approval.words import load_words
from gateway.auth.clients.registry import Secrets
from gateway.auth.glass import notices
from gateway.auth.pages import Pages
from gateway.auth.people.authorities import Authorities
from gateway.auth.people.browser import Browser
from gateway.auth.people.factors import Factors
from gateway.auth.people.login import login_routes
from gateway.auth.people.login_page import LoginPage, Ways
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.registry import People, Profile
from gateway.auth.people.totp import Sealer
from gateway.auth.ports import Ports
from gateway.auth.store import launches, requests
from gateway.auth.store.database import Database
from gateway.core.canon import b64url, sha256
from gateway.core.smart.client import Client
from gateway.core.values import Ref
from tests.auth.desk import VERIFIER, Desk, open_desk
from tests.auth.site import CHEAP, KEY, PASSWORD, new_secret
from tests.support.house import BASE, PUBLIC

OPERATOR: Final = "operator-secret"
STYLE: Final = f"{PUBLIC}/auth/smart-style.json"
REDIRECT: Final = "https://app.example/cb"
OTHER: Final = "https://app.example/other?from=gw"
LAUNCH_URI: Final = "https://app.example/launch"
STATE: Final = "st-1"
SCOPE: Final = "openid fhirUser launch launch/patient launch/encounter offline_access patient/*.rs user/*.rs"
APP: Final = Client(
    "diary",
    "Blood Pressure Diary",
    "none",
    redirect_uris=(REDIRECT, OTHER),
    launch_uris=(LAUNCH_URI,),
    grant_types=("authorization_code", "refresh_token"),
    scopes=(*SCOPE.split(), "online_access"),
    contacts=("help@app.example",),
    client_uri="https://app.example/",
    policy_uri="https://app.example/privacy",
    tos_uri="https://app.example/terms",
)
PLAIN: Final = Client(
    "plain",
    "Plain app",
    "none",
    redirect_uris=(REDIRECT,),
    launch_uris=(LAUNCH_URI,),
    scopes=("patient/*.rs",),
)
ASK: Final = {
    "response_type": "code",
    "client_id": "diary",
    "redirect_uri": REDIRECT,
    "scope": "launch/patient patient/*.rs",
    "state": STATE,
    "aud": BASE,
    "code_challenge": b64url(sha256(VERIFIER.encode())),
    "code_challenge_method": "S256",
}
PEOPLE: Final = {
    "anna": Profile("anna", "Anna Ek", Ref("Patient", "pat-a")),
    "bo": Profile("bo", "Bo Ek", Ref("RelatedPerson", "rel-1")),
    "nobody": Profile("nobody", "Nils Nobody"),
    "doc": Profile("doc", "Dr Doc", Ref("Practitioner", "prac-1"), "doctor", Ref("Organization", "org-1")),
    "doc2": Profile("doc2", "Dr Two", Ref("Practitioner", "prac-2")),
}


@dataclass
class Form:
    """`fields` is what a browser sends, `boxes` are all ticks and radios, `buttons` the values by name."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Reader(HTMLParser):
    """The forms of a page, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(has["action"]))
        elif tag == "input" and has["type"] in ("checkbox", "radio"):
            self.forms[-1].boxes.setdefault(has["name"], []).append(has["value"])
            if "checked" in has:
                self.forms[-1].fields[has["name"]] = has["value"]
        elif tag == "input":
            self.forms[-1].fields[has["name"]] = has.get("value", "")
        elif tag == "button":
            self.forms[-1].buttons.append((has.get("name", ""), has.get("value", "")))


@dataclass
class Visitor:
    """A browser. `at` sends it off; `answer_of` is what an app gets."""

    counter: Counter
    client: httpx.AsyncClient

    async def ask(self, method: str = "GET", **changed: str | None) -> httpx.Response:
        """An authorization request; None leaves a parameter out."""
        given = {name: value for name, value in {**ASK, **changed}.items() if value is not None}
        return await self.ask_raw(urlencode(given), method)

    async def ask_raw(self, parameters: str, method: str = "GET") -> httpx.Response:
        if method == "GET":
            return await self.client.get(f"/auth/authorize?{parameters}")
        # As a page of another site posts it: no cookie of ours comes along (SameSite=Lax).
        kept, self.client.cookies = self.client.cookies, httpx.Cookies()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://app.example"}
        response = await self.client.post("/auth/authorize", content=parameters.encode(), headers=headers)
        assert not response.headers.get_list("set-cookie")
        self.client.cookies = kept
        return response

    async def follow(self, response: httpx.Response) -> httpx.Response:
        """Where a redirect within this server leads, until a page is there or it leads elsewhere."""
        while response.status_code == 303 and response.headers["location"].startswith("/"):
            response = await self.client.get(response.headers["location"])
        return response

    async def log_in(self, login: str = "anna", page: httpx.Response | None = None) -> httpx.Response:
        shown = await self.client.get("/auth/login") if page is None else page
        done = await self.submit(shown, "password", login=login, password=PASSWORD)
        assert done.status_code == 303, done.text
        return await self.follow(done)

    async def open(self, login: str = "anna", **changed: str) -> httpx.Response:
        """The page that the request of an app comes to, after the log-in."""
        page = await self.follow(await self.ask("GET", **changed))
        return await self.log_in(login, page) if "Login name" in page.text else page

    async def submit(
        self, page: httpx.Response, button: str, *, untick: Any = (), **fields: str | None
    ) -> httpx.Response:
        """Sends the form that has the button; None leaves a field out. `untick` are boxes, or tests one."""
        found = next(f for f in Reader(page.text).forms if button in {value for _, value in f.buttons})
        off = untick if callable(untick) else set(untick).__contains__
        kept = {n: v for n, v in found.fields.items() if n not in found.boxes or not off(n)}
        sent = {**kept, "step": button, **{n.replace("__", "."): v for n, v in fields.items()}}
        data = {name: value for name, value in sent.items() if value is not None}
        return await self.client.post(found.action, data=data, headers={"Origin": PUBLIC})

    async def allow(self, page: httpx.Response, **how: Any) -> Mapping[str, str]:
        return answer_of(await self.submit(page, "allow", **how))

    async def tokens(self, answer: Mapping[str, str], client: str = "diary") -> dict[str, Any]:
        """What the app gets for the code of an answer."""
        response = await self.counter.desk.exchange(answer["code"], client_id=client)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@dataclass
class Counter:
    desk: Desk
    people: People
    authorities: Authorities
    app: Starlette = field(repr=False)

    @property
    def ports(self) -> Ports:
        return self.desk.ports

    async def may_act(self, login: str, patient: str, days: int = 30, relationship: str = "MTH") -> str:
        """Records an authority from now on, and gives its id."""
        now_s = self.desk.now_s
        made = await self.authorities.allow(
            login, patient, relationship, now_s + days * 86_400, "operator", now_s
        )
        return made.id

    async def launch(self, status: int = 201, *, secret: str = OPERATOR, **body: Any) -> dict[str, Any]:
        """What the EHR is told of the app that it wants to open."""
        usual = {"client": "diary", "user": "Practitioner/prac-1", "patient": "pat-a", "encounter": "enc-1"}
        async with self.browse() as ehr:
            response = await ehr.client.post(
                "/auth/launch",
                json={name: value for name, value in {**usual, **body}.items() if value is not None},
                headers={"Authorization": f"Bearer {secret}"},
            )
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.json()
        return found

    @asynccontextmanager
    async def browse(self) -> AsyncIterator[Visitor]:
        transport = httpx.ASGITransport(self.app, client=("203.0.113.5", 40000))
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
            yield Visitor(self, client)


def answer_of(response: httpx.Response, redirect_uri: str = REDIRECT) -> Mapping[str, str]:
    """What the app is told by a redirect to it; each member once, `iss` always the gateway."""
    assert response.status_code in (302, 303), response.text
    location = response.headers["location"]
    assert location.startswith(redirect_uri), location
    found = parse_qs(urlsplit(location).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), location
    assert found.pop("iss") == [PUBLIC]
    assert response.headers["cache-control"] == "no-store"
    return {name: values[0] for name, values in found.items()}


def application(ports: Ports, desk: Desk, public_url: str = PUBLIC) -> Starlette:
    """All pages of a person's way, and the EHR's endpoint."""
    database, pages, words = ports.database, Pages(), load_words()
    browser = Browser(database, public_url, new_secret)
    factors = Factors(
        database, Passwords(CHEAP), Sealer(KEY, _random), key=KEY, new_id=ports.new_id, new_secret=new_secret
    )
    waiting = or_manage(find_waiting(ports))
    page = LoginPage(browser, pages, waiting, Ways())
    return Starlette(
        routes=[
            *authorize_routes(ports, desk.clients, browser, pages),
            *approve_routes(ports, desk.clients, browser, pages, words, STYLE),
            *manage_routes(ports, desk.clients, browser, pages, words),
            *launch_routes(ports, desk.clients, OPERATOR),
            *login_routes(factors, page, lambda: ports.now_ms() // 1000),
            *pages.routes(),
        ]
    )


@asynccontextmanager
async def open_counter(folder: Path, clients: Sequence[Client] = (APP, PLAIN)) -> AsyncIterator[Counter]:
    async with open_desk(folder) as desk:
        Database(folder / "auth.db", (*requests.TABLES, *launches.TABLES, *notices.TABLES)).close()
        for client in clients:
            await desk.clients.add(client, "operator", Secrets(), desk.now_s)
        ports, sealer = desk.ports, Sealer(KEY, _random)
        people = People(ports.database, Passwords(CHEAP), sealer, ports.new_id)
        for profile in PEOPLE.values():
            await people.add(profile, PASSWORD, desk.now_s)
        authorities = Authorities(ports.database, ports.new_id, ports.record, ports.policy)
        yield Counter(desk, people, authorities, application(ports, desk))


def _random(count: int) -> bytes:
    return bytes(range(count))
