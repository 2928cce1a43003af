"""The addresses of a gateway, from its own route tables."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import BaseRoute, Mount, Route

from gateway.auth.clients.register import Terms
from gateway.auth.ports import Base
from gateway.auth.server import authorization_server, scopes_served
from gateway.web.admin import admin_routes
from gateway.web.health import health_routes
from gateway.web.ledger import ledger_routes
from gateway.web.metrics import Metrics

URL = "https://gw.example"


def addresses() -> list[str]:
    """Every path that is served beside the FHIR ones, with its parameters, once; digests are cut."""
    nothing = cast("Any", SimpleNamespace())
    routes = [
        Mount("/ledger", routes=ledger_routes(nothing)),
        Mount("/admin", routes=admin_routes(nothing, nothing, "secret")),
        *health_routes(nothing, nothing, Metrics()),
        *_authorization(),
    ]
    return sorted({re.sub(r"[0-9a-f]{16}\..+", "", path) for route in routes for path in _paths(route)})


def _authorization() -> list[Route]:
    scopes = scopes_served(sign_on=True)
    base = Base(f"{URL}/fhir", "R4", frozenset({"Patient"}), lambda _kind, _term: True, scopes)
    unused = dict.fromkeys(("database", "new_id", "new_secret", "now_ms", "id_tokens", "fetch", "consents"))
    ports = SimpleNamespace(issuer=URL, bases={base.url: base}, minter=_Keys(), **unused)
    terms = Terms("open", scopes)
    made = authorization_server(cast("Any", ports), kek=bytes(32), operator_secret="secret", terms=terms)
    return [*made.routes]


class _Keys:
    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        return {"keys": []}


def _paths(route: BaseRoute) -> list[str]:
    if isinstance(route, Mount):
        return [route.path + path for inner in route.routes for path in _paths(inner)]
    assert isinstance(route, Route)
    return [route.path]
