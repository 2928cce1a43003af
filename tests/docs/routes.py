"""The addresses of a gateway, from its own route tables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import BaseRoute, Mount, Route

from gateway.web.admin import admin_routes
from gateway.web.health import health_routes
from gateway.web.ledger import ledger_routes
from gateway.web.metrics import Metrics


def addresses() -> list[str]:
    """Every path that is served beside the FHIR ones, with its parameters, once."""
    nothing = cast("Any", SimpleNamespace())
    routes = [
        Mount("/ledger", routes=ledger_routes(nothing)),
        Mount("/admin", routes=admin_routes(nothing, nothing, "secret")),
        *health_routes(nothing, nothing, Metrics()),
    ]
    return sorted({path for route in routes for path in _paths(route)})


def _paths(route: BaseRoute) -> list[str]:
    if isinstance(route, Mount):
        return [route.path + path for inner in route.routes for path in _paths(inner)]
    assert isinstance(route, Route)
    return [route.path]
