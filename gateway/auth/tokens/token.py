"""`POST /auth/token`: what a client holds, or is, becomes an access token (RFC 6749, SMART App Launch 2.2).

    client_credentials    a service in its own name; its tokens are short and bound to consents by look-up
    authorization_code    a person's approval, once; from then on the grant is this client's
    refresh_token         the next token of a grant, and the next refresh token in its place

What is presented is claimed first, by one statement; then recorded, then signed, then noted here so that
its end can name it. If that fails on our side what was claimed is given back. One that comes back after it
was turned into tokens ends the grant and all of them. A request with a DPoP proof gets tokens that are bound
to its key (RFC 9449 section 5), and a client that is registered for it tokens that are bound to its TLS
certificate (RFC 8705 section 3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.auth.clients.client_auth import Credentials, authenticate
from gateway.auth.clients.registry import Clients
from gateway.auth.http import authorization_of, certificate_of, read_form, reply
from gateway.auth.ports import Base, Ports
from gateway.auth.store import grants
from gateway.auth.store.database import digest_of
from gateway.auth.tokens.exchange import OVER, exchange_code, exchange_refresh
from gateway.auth.tokens.issuing import Terms, issue
from gateway.auth.tokens.proof import confirmation_of
from gateway.core.consent.purposes import BREAK_GLASS, PURPOSES
from gateway.core.smart.client import Client
from gateway.core.smart.grant import narrow_service_request
from gateway.core.smart.parameters import need
from gateway.core.values import Confirmation
from gateway.errors import OAuthError

TOKEN: Final = "/auth/token"  # noqa: S105 - a path
SERVICE_S: Final = 300  # the most that SMART lets a backend service have
TREATMENT: Final = "TREAT"
CREDENTIALS: Final = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})

Answer = dict[str, object]
"""The members of a token response (RFC 6749 section 5.1)."""
Grant = Callable[[Ports, Client, Mapping[str, str], Confirmation | None], Awaitable[Answer]]
"""Given what the request shows its sender to hold, to which its tokens are bound."""


def token_routes(ports: Ports, clients: Clients, origins: cors.Origins) -> list[Route]:
    """`origins` are those of registered public clients, whose pages may use the token endpoint."""

    async def token(request: Request) -> Response:
        form = await read_form(request)
        grant = GRANTS.get(need(form, "grant_type"))
        if grant is None:
            raise OAuthError("unsupported_grant_type", f"The grant_type is one of {', '.join(GRANTS)}.")
        now_s, addresses = ports.now_ms() // 1000, {ports.issuer + TOKEN}
        authorization = authorization_of(request)
        named = form if authorization else await _named(ports, form)
        shown = Credentials(named, authorization, certificate_of(request, now_s))
        client = await authenticate(ports, clients, shown, now_s, addresses)
        if form["grant_type"] not in client.grant_types:
            raise OAuthError("unauthorized_client", "The client is not registered for this grant_type.")
        bound = confirmation_of(ports, client, request, TOKEN, now_s)
        return reply(await grant(ports, client, form, bound))

    return [cors.route(TOKEN, {"POST": token}, origins)]


async def _named(ports: Ports, form: Mapping[str, str]) -> Mapping[str, str]:
    """The form; where it says of no client, with the one that its refresh token is of. A public client's
    refresh need not name it (SMART App Launch 2.2, "Refresh access token"). Others still authenticate."""
    if form["grant_type"] != "refresh_token" or not form.keys().isdisjoint(CREDENTIALS):
        return form
    digest = digest_of(need(form, "refresh_token"))

    def whose(session: Session) -> str | None:
        token = grants.refresh_of(session, digest)
        return None if token is None else token.client

    client = await ports.database.run(whose)
    if client is None:
        raise OAuthError("invalid_grant", OVER)
    return {**form, "client_id": client}


async def _service(
    ports: Ports, client: Client, form: Mapping[str, str], bound: Confirmation | None
) -> Answer:
    """A token of a service (SMART App Launch 2.2, "Backend Services"): no person, and no refresh token."""
    base = _base(ports, form)
    granted = narrow_service_request(need(form, "scope"), client, base.served)
    terms = Terms(
        audience=base.url,
        client=client.id,
        subject=client.id,
        scopes=tuple(granted.text.split(" ")),
        purposes=_purposes(form),
        lifetime_s=SERVICE_S,
        confirmation=bound,
    )
    issued = await issue(ports, terms)
    return {
        "access_token": issued.text,
        "token_type": issued.type,
        "expires_in": SERVICE_S,
        "scope": granted.text,
    }


GRANTS: Final[dict[str, Grant]] = {
    "authorization_code": exchange_code,
    "refresh_token": exchange_refresh,
    "client_credentials": _service,
}


def _base(ports: Ports, form: Mapping[str, str]) -> Base:
    """The FHIR base that a token is for: the only one, or the one that is named by `aud`, or by `resource`
    (RFC 8707), which SMART lets stand for it. A token is for one base alone."""
    named = {form[name].removesuffix("/") for name in ("aud", "resource") if name in form}
    if not named and len(ports.bases) == 1:
        named = {*ports.bases}
    found = [ports.bases.get(url) for url in named]
    if len(found) != 1 or found[0] is None:
        raise OAuthError(
            "invalid_request", "Name one of the FHIR bases of this server, by the parameter aud or resource."
        )
    return found[0]


def _purposes(form: Mapping[str, str]) -> tuple[str, ...]:
    """Why a service reads, in codes of v3-PurposeOfUse. Break-glass is for people, one by one."""
    codes = tuple(dict.fromkeys(form.get("purpose_of_use", TREATMENT).split(" ")))
    if any(code not in PURPOSES.codes or code == BREAK_GLASS for code in codes):
        raise OAuthError("invalid_request", "The purpose_of_use is a code such as TREAT, or several.")
    return codes
