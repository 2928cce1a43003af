"""All ways to log in, put together: passwords, codes and passkeys here, and the configured providers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from starlette.routing import Route

from gateway.auth.pages import Pages
from gateway.auth.passkeys.ceremony import Ceremonies, relying_party
from gateway.auth.passkeys.challenge import Challenges
from gateway.auth.passkeys.keyring import Keyring
from gateway.auth.passkeys.pages import or_passkeys, passkey_routes
from gateway.auth.people.browser import Browser
from gateway.auth.people.factors import Factors
from gateway.auth.people.keys import derive_key
from gateway.auth.people.login import login_routes
from gateway.auth.people.login_page import Elsewhere, LoginPage, Ways
from gateway.auth.people.waiting import FindWaiting
from gateway.auth.ports import Ports
from gateway.auth.providers.exchange import OpenIdProvider
from gateway.auth.providers.login import CALLBACK, provider_routes
from gateway.auth.providers.metadata import Web
from gateway.auth.providers.provider import Provider
from gateway.entropy import random_bytes
from gateway.tokens.fetch import HttpxFetch


@dataclass(frozen=True, slots=True)
class LogIn:
    """How people log in: with a password or passkey here if it is `local`, and at these providers, which are
    asked over `web`."""

    local: bool = True
    providers: Sequence[Provider] = ()
    web: Web = field(default_factory=HttpxFetch)

    def has_passkeys(self, public_url: str) -> bool:
        return self.local and relying_party(public_url) is not None


def log_in_routes(
    ports: Ports,
    log_in: LogIn,
    factors: Factors,
    browser: Browser,
    pages: Pages,
    waiting: FindWaiting,
    kek: bytes,
) -> Iterator[Route]:
    """`kek` is the key that keys are derived from. Raises ValueError for ways to log in that cannot be."""

    def now_s() -> int:
        return ports.now_ms() // 1000

    ways = Ways(log_in.local, tuple(Elsewhere(each.name, each.title) for each in log_in.providers))
    page = LoginPage(browser, pages, or_passkeys(waiting, now_s) if pages.passkeys else waiting, ways)
    yield from login_routes(factors, page, now_s)
    yield from provider_routes(
        [_provider(each, log_in, ports) for each in log_in.providers],
        page,
        factors,
        ports.database,
        key=derive_key(kek, "providers"),
        new_secret=ports.new_secret,
        now_s=now_s,
    )
    if pages.passkeys:
        yield from passkey_routes(_keyring(ports, factors, kek), page, now_s)


def _provider(provider: Provider, log_in: LogIn, ports: Ports) -> OpenIdProvider:
    return OpenIdProvider(provider, f"{ports.issuer}{CALLBACK}/{provider.name}", log_in.web, ports.new_id)


def _keyring(ports: Ports, factors: Factors, kek: bytes) -> Keyring:
    challenges = Challenges(derive_key(kek, "passkeys"), random_bytes)
    return Keyring(ports.database, factors, Ceremonies(ports.issuer), challenges)
