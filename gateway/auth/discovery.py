"""What the authorization server says about itself, at the addresses where clients look.

    <fhir base>/.well-known/smart-configuration      SMART App Launch 2.2, one for each FHIR base
    <issuer>/.well-known/openid-configuration        OpenID Connect Discovery, with single sign-on
    <issuer>/.well-known/oauth-authorization-server  RFC 8414

JSON whatever is accepted, for every page, and nothing that does not work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.core.smart.discovery import Document, Endpoint, Server, openid_configuration, smart_configuration

WELL_KNOWN: Final = "/.well-known"
SMART: Final = f"{WELL_KNOWN}/smart-configuration"
OPENID: Final = f"{WELL_KNOWN}/openid-configuration"
OAUTH: Final = f"{WELL_KNOWN}/oauth-authorization-server"

PATHS: Final[Mapping[Endpoint, str]] = {
    "authorize": "/auth/authorize",
    "token": "/auth/token",
    "introspect": "/auth/introspect",
    "revoke": "/auth/revoke",
    "manage": "/auth/manage",
    "register": "/auth/register",
    "jwks": "/auth/jwks",
}


def discovery_routes(servers: Mapping[str, Server]) -> list[Route]:
    """`servers` are by the FHIR base they are for, of one issuer."""
    first = next(iter(servers.values()))
    routes = [_document(well_known_of(base), smart_configuration(s)) for base, s in servers.items()]
    if first.has_sso:
        routes.append(_document(OPENID, openid_configuration(first)))
    about = {**smart_configuration(first), "issuer": first.issuer}
    about.pop("capabilities")
    return [*routes, _document(OAUTH, about)]


def well_known_of(base: str) -> str:
    """The path of the SMART document of a FHIR base: below that base, and yet none of its resources."""
    return f"{urlsplit(base).path}{SMART}"


def _document(path: str, document: Document) -> Route:
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}

    async def answer(_: Request) -> Response:
        return JSONResponse(document, headers=headers)

    return cors.route(path, {"GET": answer}, cors.everyone)
