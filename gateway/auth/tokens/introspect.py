"""`POST /auth/introspect`: what a token is, for who may know (RFC 7662; SMART App Launch 2.2, "Token
Introspection").

A client learns of its own tokens. A service shows an access token of its own with a `system/` scope and
learns of any client's: it protects resources that others come to with theirs. Of everything else there is
one answer, `{"active": false}`, which does not say why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.auth.clients.client_auth import Credentials, authenticate
from gateway.auth.clients.registry import Clients
from gateway.auth.http import authorization_of, certificate_of, proof_of, read_form, reply
from gateway.auth.ports import Ports
from gateway.auth.tokens import shown
from gateway.auth.tokens.issuing import token_type
from gateway.auth.tokens.token import TOKEN
from gateway.core.smart.dpop import Asked
from gateway.core.smart.parameters import need
from gateway.errors import OAuthError, Unauthenticated
from gateway.tokens.bearer import presented
from gateway.tokens.proof import Evidence, check_holder

INTROSPECT: Final = "/auth/introspect"
INACTIVE: Final[Mapping[str, object]] = {"active": False}
LAUNCH: Final = (
    "patient",
    "encounter",
    "case",
    "fhirContext",
    "intent",
    "need_patient_banner",
    "smart_style_url",
    "tenant",
)
"""The launch parameters of a token response, which are all told here too."""
REGISTERED: Final = ("iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti")
"""Members of RFC 7662 section 2.2, as the token has them."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """`wide`: may learn of the access tokens of all clients."""

    client: str
    wide: bool


def introspect_routes(ports: Ports, clients: Clients) -> list[Route]:
    """No page in a browser has any business here."""

    async def introspect(request: Request) -> Response:
        form, authorization = await read_form(request), authorization_of(request)
        now_s = ports.now_ms() // 1000
        if authorization and authorization[0].lower().startswith((b"bearer", b"dpop")):
            caller = await _by_token(ports, request, authorization, now_s)
        else:
            addresses = {ports.issuer + TOKEN, ports.issuer + INTROSPECT}
            sent = Credentials(form, authorization, certificate_of(request, now_s))
            client = await authenticate(ports, clients, sent, now_s, addresses)
            if client.kind == "public":
                raise OAuthError("invalid_client", "A public client shows an access token instead.", 401)
            caller = _Caller(client.id, wide=False)
        return reply(await _about(ports, caller, need(form, "token"), now_s))

    return [cors.route(INTROSPECT, {"POST": introspect})]


async def _by_token(ports: Ports, request: Request, authorization: list[bytes], now_s: int) -> _Caller:
    sent = presented(authorization)
    access = await shown.access_token(ports, sent.text, now_s)
    if access is None:
        raise Unauthenticated("The access token in the Authorization header is not valid.")
    asked = Asked(request.method, ports.issuer + INTROSPECT, access.token.digest)
    evidence = Evidence(proof_of(request), certificate_of(request, now_s))
    check_holder(access.token, sent, evidence, asked, now_s, ports.used_proofs)
    return _Caller(access.token.client, any(scope.level == "system" for scope in access.token.scopes))


async def _about(ports: Ports, caller: _Caller, text: str, now_s: int) -> Mapping[str, object]:
    access = await shown.access_token(ports, text, now_s)
    if access is not None:
        known = caller.wide or access.token.client == caller.client
        return _of_access(access) if known else INACTIVE
    refreshing = await shown.refresh_token(ports, text, now_s)
    if refreshing is None or refreshing.grant.client != caller.client:
        return INACTIVE
    return _of_refresh(ports, refreshing)


def _of_access(access: shown.Access) -> dict[str, object]:
    """`scope` is as the token response said it; the user is told as to the client, if it has `fhirUser`."""
    names = [*REGISTERED, "cnf", *LAUNCH, *(["fhirUser"] if "fhirUser" in access.token.context else [])]
    told = {name: access.claims[name] for name in names if name in access.claims}
    return {"active": True, "token_type": token_type(access.token), **told}


def _of_refresh(ports: Ports, refreshing: shown.Refreshing) -> dict[str, object]:
    grant, context = refreshing.grant, json.loads(refreshing.grant.context)
    context["patient"] = grant.patient
    return {
        "active": True,
        "iss": ports.issuer,
        "sub": grant.subject,
        "aud": grant.audience,
        "client_id": grant.client,
        "scope": grant.scope,
        "exp": refreshing.refresh.exp_s,
        **{name: context[name] for name in LAUNCH if context.get(name) is not None},
    }
