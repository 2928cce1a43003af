"""`POST /auth/revoke`: a client gives back a token (RFC 7009).

An access token is over when its entry is in the ledger: the next request with it is refused, whichever
process it meets. A refresh token takes its whole grant with it. What is unknown or over already is no error.
"""

from __future__ import annotations

from typing import Final

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.auth.clients.client_auth import Credentials, authenticate
from gateway.auth.clients.registry import Clients
from gateway.auth.http import NO_STORE, authorization_of, certificate_of, read_form
from gateway.auth.ports import Ports
from gateway.auth.store import grants
from gateway.auth.store.database import digest_of
from gateway.auth.tokens import shown
from gateway.auth.tokens.ending import end_grant, record_end
from gateway.auth.tokens.token import TOKEN
from gateway.core.smart.client import Client
from gateway.core.smart.parameters import need
from gateway.core.values import Token
from gateway.errors import OAuthError

REVOKE: Final = "/auth/revoke"


def revoke_routes(ports: Ports, clients: Clients, origins: cors.Origins) -> list[Route]:
    """`origins` as for `token_routes`."""

    async def revoke(request: Request) -> Response:
        form = await read_form(request)
        now_s, addresses = ports.now_ms() // 1000, {ports.issuer + TOKEN, ports.issuer + REVOKE}
        shown = Credentials(form, authorization_of(request), certificate_of(request, now_s))
        client = await authenticate(ports, clients, shown, now_s, addresses)
        await _revoke(ports, client, need(form, "token"), now_s)
        return Response(status_code=200, headers=NO_STORE)

    return [cors.route(REVOKE, {"POST": revoke}, origins)]


async def _revoke(ports: Ports, client: Client, text: str, now_s: int) -> None:
    """Whatever `token_type_hint` says: what a token is can be seen."""
    access = await shown.access_token(ports, text, now_s)
    if access is not None:
        await _end_access(ports, client, access.token)
        return
    held = await ports.database.run(lambda session: grants.refresh_of(session, digest_of(text)))
    if held is not None:
        _check_mine(client, held.client)
        await end_grant(ports, held.grant, "client-request", client.id)


async def _end_access(ports: Ports, client: Client, token: Token) -> None:
    _check_mine(client, token.client)
    if token.issued is None:
        raise OAuthError("unsupported_token_type", "This token does not name its entry in the ledger.")
    await record_end(ports, [token.issued], client.id, "client-request", client.id)
    index, _ = token.issued

    def forget(session: Session) -> None:
        grants.forget_access(session, [index])

    await ports.database.run(forget)


def _check_mine(client: Client, owner: str) -> None:
    """RFC 7009 section 2.1: the client is told that it cannot end a token that was not issued to it."""
    if owner != client.id:
        raise OAuthError("invalid_grant", "The token was issued to another client.")
