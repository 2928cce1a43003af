"""The addresses of a gateway, from its own route tables."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import BaseRoute, Mount, Route

from gateway.auth.clients.register import Terms
from gateway.auth.glass.breaking import Policy
from gateway.auth.log_in import LogIn
from gateway.auth.ports import Base, Ports
from gateway.auth.server import BreakGlass, authorization_server, scopes_served
from gateway.web.admin import admin_routes
from gateway.web.health import health_routes
from gateway.web.ledger import ledger_routes
from gateway.web.metrics import Metrics
from gateway.web.operator import guarded_by
from gateway.web.previews import preview_routes

URL = "https://gw.example"


def addresses() -> list[str]:
    """Every path that is served beside the FHIR ones, with its parameters, once; digests are cut."""
    nothing = cast("Any", SimpleNamespace())
    routes = [
        Mount("/ledger", routes=ledger_routes(nothing)),
        Mount("/admin", routes=_operators()),
        *health_routes(nothing, nothing, Metrics()),
        *_authorization(),
    ]
    return sorted({re.sub(r"[0-9a-f]{16}\..+", "", path) for route in routes for path in _paths(route)})


def _operators() -> list[Route]:
    nothing = cast("Any", SimpleNamespace())
    guarded = guarded_by("secret", nothing)
    return [*admin_routes(nothing, nothing, guarded), *preview_routes(nothing, nothing, {}, URL, guarded)]


def _authorization() -> list[Route]:
    scopes = scopes_served(sign_on=True)
    base = Base(f"{URL}/fhir", "R4", frozenset({"Patient"}), lambda _kind, _term: True, scopes)
    needed = [field.name for field in fields(Ports) if field.default is field.default_factory is MISSING]
    named: dict[str, Any] = {"issuer": URL, "bases": {base.url: base}, "minter": _Keys()}
    ports = Ports(**{**dict.fromkeys(needed), **named})
    terms = Terms("open", scopes)
    made = authorization_server(
        ports,
        kek=bytes(32),
        operator_secret="secret",
        terms=terms,
        log_in=LogIn(),
        glass=BreakGlass(Policy(frozenset(), 1), lambda _kinds, _after: ()),
    )
    return [*made.routes]


class _Keys:
    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        return {"keys": []}


def _paths(route: BaseRoute) -> list[str]:
    if isinstance(route, Mount):
        return [route.path + path for inner in route.routes for path in _paths(inner)]
    assert isinstance(route, Route)
    return [route.path]
