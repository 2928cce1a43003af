"""Dynamic registration of clients (RFC 7591), and what a client may do with its own (RFC 7592).

    POST   /auth/register        client metadata   201 the client, its secret and a token for the below
    GET    /auth/register/{id}                     200 the client
    PUT    /auth/register/{id}   client metadata   200 the client
    DELETE /auth/register/{id}                     204

Who registers is a stranger, so a client gets no scope beyond the ceiling, however it asks, and its keys are
looked for on the public internet alone. A secret is told once. Whether registration is open, for holders of
a token, or closed is the operator's choice; those who did register can change and leave in any case.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.clients.public_fetch import may_be_public
from gateway.auth.clients.registry import Clients, Registered, Secrets
from gateway.auth.cors import route
from gateway.auth.http import NO_STORE, authorization_of, media_type, read_body, reply
from gateway.auth.ports import Ports
from gateway.auth.store.database import digest_of
from gateway.auth.tokens.ending import withdraw
from gateway.core.fhir import codec
from gateway.core.smart.algebra import narrow
from gateway.core.smart.client import KINDS, Client
from gateway.core.smart.metadata import metadata_json, read_metadata
from gateway.core.smart.scopes import ScopeSet
from gateway.errors import BadRequest, NotFound, OAuthError, Unauthenticated
from gateway.tokens.bearer import bearer_of

REGISTER: Final = "/auth/register"
MAX_BYTES: Final = 64 * 1024
# An app and its test runner publish keys at two addresses. Each one is an address that we are made to ask.
MOST_ADDRESSES: Final = 2
# RFC 7592 section 2.2: what an update must not contain.
ASSIGNED: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)

Registration = Literal["closed", "open", "token"]
Metadata = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may register, and for which scopes at most; these are also what a client gets that names none.

    `token` is the initial access token (RFC 7591 section 3) for `registration` "token". Raises ValueError.
    """

    registration: Registration = "closed"
    scopes: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.registration == "token") != (self.token is not None):
            raise ValueError("an initial access token is for registration by token, and needed for it")


def register_routes(ports: Ports, clients: Clients, terms: Terms) -> list[Route]:
    """Routes at and below `/auth/register`."""
    desk = _Desk(ports, clients, terms)
    own = {"GET": desk.show, "PUT": desk.change, "DELETE": desk.leave}
    return [route(REGISTER, {"POST": desk.register}), route(f"{REGISTER}/{{id}}", own)]


@dataclass(frozen=True, slots=True)
class _Desk:
    ports: Ports
    clients: Clients
    terms: Terms

    async def register(self, request: Request) -> Response:
        self._admit(request)
        client = self._read(await _metadata(request), self.ports.new_id())
        secrets = Secrets(
            self.ports.new_secret() if client.kind == "symmetric" else None, self.ports.new_secret()
        )
        try:
            added = await self.clients.add(client, "dynamic", secrets, self._now_s())
        except BadRequest as error:  # an id of ours: not what the caller sent
            raise RuntimeError("an id was made twice, or one that clients cannot have") from error
        return reply(self._shown(added, secrets), 201)

    async def show(self, request: Request) -> Response:
        found, token = await self._own(request)
        return reply(self._shown(found, Secrets(registration=token)))

    async def change(self, request: Request) -> Response:
        found, token = await self._own(request)
        given = await _metadata(request)
        _check_update(given, found)
        try:
            changed = await self.clients.replace(self._read(given, found.client.id))
        except NotFound as error:
            raise _not_yours() from error
        return reply(self._shown(changed, Secrets(registration=token)))

    async def leave(self, request: Request) -> Response:
        found, _ = await self._own(request)
        client = found.client.id
        try:
            left = await self.clients.remove(client, self._now_s())
        except NotFound as error:
            raise _not_yours() from error
        await withdraw(self.ports, left, client, "client-removed", client)
        return Response(status_code=204, headers=NO_STORE)

    def _now_s(self) -> int:
        return self.ports.now_ms() // 1000

    def _admit(self, request: Request) -> None:
        """Raises OAuthError unless the request may register a client."""
        if self.terms.registration == "closed":
            raise OAuthError("access_denied", "Clients are registered by the operator here.", 403)
        if self.terms.token is not None:
            given = digest_of(_bearer(request, "Registration needs an initial access token."))
            if not hmac.compare_digest(given, digest_of(self.terms.token)):
                raise OAuthError("invalid_token", "The initial access token is not the right one.", 401)

    async def _own(self, request: Request) -> tuple[Registered, str]:
        """The client that the request is about, and the token by which it is its own.

        One that is gone and one that never was are told apart by nobody (RFC 7592 section 2).
        """
        token = _bearer(request, "A registration access token is needed.")
        found = await self.clients.find(request.path_params["id"])
        kept = bytes(32) if found is None or found.registration is None else found.registration
        right = hmac.compare_digest(digest_of(token), kept)
        if found is None or found.disabled_s is not None or not right:
            raise _not_yours()
        return found, token

    def _read(self, given: Metadata, client_id: str) -> Client:
        """The client as it can be registered: within the ceiling, its keys where strangers' may be."""
        client = read_metadata(given, client_id)
        if client.auth_method not in self.ports.auth_methods:
            raise _refusal("The token_endpoint_auth_method is not one that works here.")
        if client.certificate_bound and not self.ports.certificates:
            raise _refusal("Tokens cannot be bound to certificates here.")
        if len(client.jwks_uris) > MOST_ADDRESSES:
            raise _refusal(f"There are more than {MOST_ADDRESSES} addresses of keys.")
        if not all(may_be_public(urlsplit(uri).hostname or "") for uri in client.jwks_uris):
            raise _refusal("An address of keys is not one on the public internet.")
        scopes = self._scopes(client.scopes) if "scope" in given else self.terms.scopes
        if client.scopes and not scopes:
            raise _refusal("None of the scopes is one that clients can register for here.")
        try:
            return replace(client, scopes=scopes)
        except ValueError as wrong:
            raise _refusal(f"The client cannot be registered: {wrong}.") from wrong

    def _scopes(self, asked: Sequence[str]) -> tuple[str, ...]:
        """What the ceiling leaves of the scopes, at any of the FHIR bases."""
        bases = [base.served for base in self.ports.bases.values()]
        ceilings = [(served, served.read(" ".join(self.terms.scopes))) for served in bases]
        kept = (
            piece
            for word in asked
            for served, ceiling in ceilings
            for piece in _within(served.read(word), ceiling)
        )
        return tuple(dict.fromkeys(kept))

    def _shown(self, found: Registered, secrets: Secrets) -> dict[str, Any]:
        """A client information response (RFC 7591 section 3.2.1, RFC 7592 section 3)."""
        shown: dict[str, Any] = {
            **metadata_json(found.client),
            "client_id_issued_at": found.created_s,
            "registration_access_token": secrets.registration,
            "registration_client_uri": f"{self.ports.issuer}{REGISTER}/{found.client.id}",
        }
        if secrets.secret is not None:
            shown |= {"client_secret": secrets.secret, "client_secret_expires_at": 0}
        return shown


def _within(asked: ScopeSet, ceiling: ScopeSet) -> Iterator[str]:
    yield from (context for context in asked.context if context in ceiling.context)
    yield from (scope.text for scope in narrow(asked.resources, ceiling.resources))


def _check_update(given: Metadata, found: Registered) -> None:
    """Raises OAuthError unless an update names its client, and nothing that is for us to assign."""
    if given.get("client_id") != found.client.id:
        raise _refusal("The client_id is missing, or not that of this client.")
    if any(name in given for name in ASSIGNED):
        raise _refusal(f"An update does not contain {', '.join(ASSIGNED)}.")
    method = given.get("token_endpoint_auth_method", "client_secret_basic")
    if method not in KINDS or method != found.client.auth_method:
        raise _refusal("The token_endpoint_auth_method of a client stays as it is; register another client.")
    if "client_secret" in given:
        secret = given["client_secret"]
        kept = bytes(32) if found.secret is None else found.secret
        if not isinstance(secret, str) or not hmac.compare_digest(_digest(secret), kept):
            raise _refusal("The client_secret is not that of this client, and clients do not choose theirs.")


def _digest(secret: str) -> bytes:
    return digest_of(secret) if secret.isascii() else b""


async def _metadata(request: Request) -> Metadata:
    """The JSON object of a request's body. Raises OAuthError."""
    if media_type(request) != "application/json":
        raise OAuthError("invalid_request", "The request is not of the media type application/json.")
    try:
        given = codec.parse(await read_body(request, MAX_BYTES))
    except codec.CodecError as error:
        raise _refusal("The client metadata is not JSON that is accepted.") from error
    if not isinstance(given, dict):
        raise _refusal("The client metadata is not a JSON object.")
    return given


def _bearer(request: Request, needed: str) -> str:
    try:
        return bearer_of(authorization_of(request))
    except Unauthenticated as error:
        raise OAuthError("invalid_token", needed, 401) from error


def _not_yours() -> OAuthError:
    return OAuthError("invalid_token", "The registration access token is not that of a client here.", 401)


def _refusal(text: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", text)
