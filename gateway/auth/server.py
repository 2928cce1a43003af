"""The authorization server as a whole: its tables, its addresses, and what works of it.

It is put together here and nowhere else; the outside comes in as `Ports`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlmodel import SQLModel
from starlette.routing import Route

from gateway.auth.approval.approve import approve_routes
from gateway.auth.approval.authorize import authorize_routes, find_waiting
from gateway.auth.approval.launch import launch_routes
from gateway.auth.approval.manage import manage_routes, or_manage
from gateway.auth.approval.words import load_words
from gateway.auth.clients import registry as client_registry
from gateway.auth.clients.origins import public_origins
from gateway.auth.clients.register import Terms, register_routes
from gateway.auth.clients.registry import Clients
from gateway.auth.cors import Origins
from gateway.auth.discovery import PATHS, discovery_routes
from gateway.auth.pages import Pages
from gateway.auth.people import registry as people_registry
from gateway.auth.people.browser import Browser
from gateway.auth.people.factors import Factors
from gateway.auth.people.keys import derive_key
from gateway.auth.people.login import login_routes
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.totp import Sealer
from gateway.auth.ports import Base, Ports
from gateway.auth.store import launches, requests
from gateway.auth.store.database import Database
from gateway.auth.style import PATH as STYLE
from gateway.auth.style import style_routes
from gateway.auth.tokens.ending import sweep
from gateway.auth.tokens.introspect import introspect_routes
from gateway.auth.tokens.openid import openid_routes
from gateway.auth.tokens.revoke import revoke_routes
from gateway.auth.tokens.token import token_routes
from gateway.core.smart.discovery import Server
from gateway.entropy import random_bytes
from gateway.errors import ConsentryError

TABLES: Final[tuple[type[SQLModel], ...]] = (
    *client_registry.TABLES,
    *people_registry.TABLES,
    *requests.TABLES,
    *launches.TABLES,
)
SWEEP_EVERY_S: Final = 300

SIGN_ON: Final = ("openid", "fhirUser")
SCOPES: Final = (
    "launch",
    "launch/patient",
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

    async def tidy(self) -> None:
        """Ends what was left half ended and forgets what is over; goes on until it is cancelled."""
        while True:
            try:
                await sweep(self.ports)
            except ConsentryError as error:
                log.warning("Tidying up is left for later: %s", type(error).__name__)
            await asyncio.sleep(SWEEP_EVERY_S)


def open_database(path: Path) -> Database:
    """Raises StateUnavailable."""
    return Database(path, TABLES)


def scopes_served(*, sign_on: bool) -> tuple[str, ...]:
    """The most that can be granted at any FHIR base (`scopes_supported`)."""
    return (*SIGN_ON, *SCOPES) if sign_on else SCOPES


def authorization_server(
    ports: Ports, *, kek: bytes, operator_secret: str, terms: Terms
) -> AuthorizationServer:
    """`kek` is the key that keys are derived from, `terms` those of dynamic registration."""
    clients, pages, words = Clients(ports.database), Pages(), load_words()
    browser = Browser(ports.database, ports.issuer, ports.new_secret)
    factors = Factors(
        ports.database,
        Passwords(),
        Sealer(derive_key(kek, "totp"), random_bytes),
        key=derive_key(kek, "attempts"),
        new_id=ports.new_id,
        new_secret=ports.new_secret,
    )
    origins = public_origins(ports.database)
    servers = {url: _server(ports, base, terms) for url, base in ports.bases.items()}
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
        *login_routes(
            factors, browser, pages, or_manage(find_waiting(ports)), lambda: ports.now_ms() // 1000
        ),
        *pages.routes(),
        *style_routes(),
    ]
    return AuthorizationServer(ports, servers, routes, origins)


def _server(ports: Ports, base: Base, terms: Terms) -> Server:
    closed = () if terms.registration != "closed" else ("register",)
    return Server(
        issuer=ports.issuer,
        endpoints={name: ports.issuer + path for name, path in PATHS.items() if name not in closed},
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
        auth_methods=("none", "client_secret_basic", "client_secret_post", "private_key_jwt"),
        scopes=base.scopes,
        context=frozenset({"patient", "encounter", "need_patient_banner", "smart_style_url"}),
    )
