"""The small site whose people log in at a provider, and browsers that go there and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx

from gateway.auth.people.login_page import Elsewhere, Ways
from gateway.auth.providers.exchange import OpenIdProvider
from gateway.auth.providers.linking import Links
from gateway.auth.providers.provider import ClientSecret, Provider
from gateway.auth.store.links import Named
from gateway.tokens.fetch import HttpxFetch
from tests.auth.providers.provider import CLIENT, SECRET, SUBJECT, FakeProvider, fake_provider
from tests.auth.site import HTTPS, Site, Visitor

NAME, TITLE = "hospital", "St Example"
CALLBACK: Final = f"/auth/login/callback/{NAME}"
WITH: Final = f"/auth/login/with/{NAME}"


@dataclass
class Hall:
    """`provider` is what the site knows as its provider; `add_provider` gives it another rule."""

    site: Site
    provider: FakeProvider

    def configure(self, *, timeout_s: float = 5, local: bool = True, **rule: Any) -> None:
        """Makes this the only provider of the site."""
        usual: dict[str, Any] = {
            "name": NAME,
            "title": TITLE,
            "issuer": self.provider.issuer,
            "client_id": CLIENT,
            "credentials": ClientSecret(SECRET),
        }
        made = Provider(**{**usual, **rule})
        web = HttpxFetch(timeout_s=timeout_s)
        address = f"{self.site.public_url}/auth/login/callback/{made.name}"
        self.site.providers = [OpenIdProvider(made, address, web, self.site.new_id)]
        self.site.ways = Ways(local, (Elsewhere(made.name, made.title),))

    async def link(self, login: str = "anna", subject: str = SUBJECT, claim: str = "sub") -> None:
        named = Named(self.provider.issuer, claim, subject)
        await Links(self.site.database).link(login, named, self.site.now_s)

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        async with self.site.visitor() as visitor:
            yield Guest(visitor, self.provider)


@dataclass
class Guest:
    visitor: Visitor
    provider: FakeProvider

    async def leave(self, **query: str) -> str:
        """The address at the provider that the browser is sent to."""
        answer = await self.visitor.client.get(WITH, params=query)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def come_back(self, answer: Mapping[str, str | None], path: str = CALLBACK) -> httpx.Response:
        sent = {name: value for name, value in answer.items() if value is not None}
        return await self.visitor.client.get(path, params=sent)

    async def log_in(self, query: Mapping[str, str] | None = None, **answer: str | None) -> httpx.Response:
        """There and back, with these members of the answer in the place of its own; None leaves one out."""
        own = self.provider.log_in(await self.leave(**(query or {})))
        return await self.come_back({**own, **answer})

    async def who(self) -> Any:
        return await self.visitor.who()


def asked_of(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query, strict_parsing=True))


@asynccontextmanager
async def open_hall(site: Site) -> AsyncIterator[Hall]:
    """With Anna, whose account at the provider is linked."""
    assert site.public_url == HTTPS
    async with fake_provider(lambda: site.now_s) as provider:
        hall = Hall(site, provider)
        hall.configure()
        await site.add()
        await hall.link()
        yield hall
