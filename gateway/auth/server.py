"""The authorization server as a whole: its tables, its addresses, and what works of it.

It is put together here and nowhere else; the outside comes in as `Ports`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlmodel import SQLModel
from starlette.routing import Route

from gateway.auth.approval.approve import approve_routes
from gateway.auth.approval.authorize import authorize_routes, find_waiting
from gateway.auth.approval.launch import launch_routes
from gateway.auth.approval.manage import manage_routes, or_manage
from gateway.auth.approval.words import Words, load_words
from gateway.auth.clients import registry as client_registry
from gateway.auth.clients.origins import public_origins
from gateway.auth.clients.register import Terms, register_routes
from gateway.auth.clients.registry import Clients
from gateway.auth.cors import Origins
from gateway.auth.discovery import PATHS, discovery_routes
from gateway.auth.glass import notices, renewals
from gateway.auth.glass.breaking import Breaking, Policy
from gateway.auth.glass.notices import Send
from gateway.auth.glass.past import Entries
from gateway.auth.glass.routes import glass_routes
from gateway.auth.log_in import LogIn, log_in_routes
from gateway.auth.pages import Pages
from gateway.auth.people import registry as people_registry
from gateway.auth.people.browser import Browser
from gateway.auth.people.factors import Factors
from gateway.auth.people.keys import derive_key
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.totp import Sealer
from gateway.auth.ports import Base, Ports
from gateway.auth.store import delegations, launches, links, requests
from gateway.auth.store.database import Database
from gateway.auth.style import PATH as STYLE
from gateway.auth.style import style_routes
from gateway.auth.tokens.ending import sweep
from gateway.auth.tokens.introspect import introspect_routes
from gateway.auth.tokens.openid import openid_routes
from gateway.auth.tokens.revoke import revoke_routes
from gateway.auth.tokens.token import token_routes
from gateway.core.smart.constraints import format_constraints
from gateway.core.smart.discovery import Server
from gateway.entropy import random_bytes
from gateway.errors import ConsentryError

TABLES: Final[tuple[type[SQLModel], ...]] = (
    *client_registry.TABLES,
    *people_registry.TABLES,
    *requests.TABLES,
    *launches.TABLES,
    *links.TABLES,
    *delegations.TABLES,
    *notices.TABLES,
    *renewals.TABLES,
)
SWEEP_EVERY_S: Final = 300
NOTIFY_EVERY_S: Final = 1

SIGN_ON: Final = ("openid", "fhirUser")
SCOPES: Final = (
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.rs",
    "user/*.rs",
    "system/*.rs",
)

log = logging.getLogger("consentry.auth")


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """`origins` are those of the pages that registered apps run on."""

    ports: Ports
    servers: dict[str, Server]
    routes: Sequence[Route] = field(repr=False)
    origins: Origins = field(repr=False)
    send: Send | None = field(default=None, repr=False)

    async def notify(self) -> None:
        """Gives notices of break-glass to whom the operator named; goes on until it is cancelled."""
        while self.send is not None:
            try:
                await notices.deliver(self.ports.database, self.send, self.ports.now_ms() // 1000)
            except ConsentryError as error:
                log.warning("Notices are left for later: %s", type(error).__name__)
            await asyncio.sleep(NOTIFY_EVERY_S)

    async def tidy(self) -> None:
        """Ends what was left half ended and forgets what is over; goes on until it is cancelled."""
        while True:
            try:
                await sweep(self.ports)
            except ConsentryError as error:
                log.warning("Tidying up is left for later: %s", type(error).__name__)
            await asyncio.sleep(SWEEP_EVERY_S)


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """How the glass is broken here: `entries` reads the ledger, `send` gives a notice to whom the operator
    named (None: nobody)."""

    policy: Policy
    entries: Entries
    send: Send | None = None


def open_database(path: Path) -> Database:
    """Raises StateUnavailable."""
    return Database(path, TABLES)


def scopes_served(*, sign_on: bool) -> tuple[str, ...]:
    """The most that can be granted at any FHIR base (`scopes_supported`)."""
    return (*SIGN_ON, *SCOPES) if sign_on else SCOPES


def authorization_server(
    ports: Ports, *, kek: bytes, operator_secret: str, terms: Terms, log_in: LogIn, glass: BreakGlass
) -> AuthorizationServer:
    """`kek` is the key that keys are derived from, `terms` those of dynamic registration. Raises ValueError
    for ways to log in that cannot be."""
    clients, words = Clients(ports.database), load_words()
    pages = Pages(passkeys=log_in.has_passkeys(ports.issuer))
    browser = Browser(ports.database, ports.issuer, ports.new_secret)
    factors, origins = factors_of(ports, kek), public_origins(ports.database, ports.now_ms)
    servers = {url: _server(ports, base, terms, words) for url, base in ports.bases.items()}
    routes = [
        *discovery_routes(servers),
        *openid_routes(ports.minter, *([] if ports.id_tokens is None else [ports.id_tokens])),
        *token_routes(ports, clients, origins),
        *revoke_routes(ports, clients, origins),
        *introspect_routes(ports, clients),
        *(register_routes(ports, clients, terms) if terms.registration != "closed" else ()),
        *authorize_routes(ports, clients, browser, pages),
        *approve_routes(ports, clients, browser, pages, words, ports.issuer + STYLE),
        *manage_routes(ports, clients, browser, pages, words),
        *launch_routes(ports, clients, operator_secret),
        *glass_routes(Breaking(ports, clients, factors, glass.entries, glass.policy), operator_secret),
        *log_in_routes(ports, log_in, factors, browser, pages, or_manage(find_waiting(ports)), kek),
        *pages.routes(),
        *style_routes(),
    ]
    return AuthorizationServer(ports, servers, routes, origins, glass.send)


def factors_of(ports: Ports, kek: bytes) -> Factors:
    return Factors(
        ports.database,
        Passwords(),
        Sealer(derive_key(kek, "totp"), random_bytes),
        key=derive_key(kek, "attempts"),
        new_id=ports.new_id,
        new_secret=ports.new_secret,
    )


def _parts(base: Base, words: Words) -> Iterator[str]:
    """The granular scopes that the page offers, which US Core wants named among those that are supported."""
    for level in ("patient", "user"):
        for kind, categories in words.categories.items():
            if kind in base.types:
                yield from (f"{level}/{kind}.rs?{format_constraints(one.terms)}" for one in categories)


def _server(ports: Ports, base: Base, terms: Terms, words: Words) -> Server:
    closed = () if terms.registration != "closed" else ("register",)
    return Server(
        issuer=ports.issuer,
        endpoints={name: ports.issuer + path for name, path in PATHS.items() if name not in closed},
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
        auth_methods=ports.auth_methods,
        certificates=ports.certificates,
        scopes=(*base.scopes, *_parts(base, words)),
        context=frozenset({"patient", "encounter", "need_patient_banner", "smart_style_url"}),
    )
