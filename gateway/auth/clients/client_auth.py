"""Who calls: a client proves who it is by the one method it is registered for (RFC 6749 section 2.3).

    client_secret_basic   Authorization: Basic
    client_secret_post    client_id and client_secret
    private_key_jwt       client_assertion_type and client_assertion (RFC 7523 section 2.2)
    tls_client_auth       client_id, and the certificate of the TLS connection (RFC 8705 section 2);
                          self_signed_tls_client_auth likewise
    none                  client_id alone

A request uses one of them. Whether a client is unknown, disabled, or registered for another method is not
told, and a wrong secret costs the same work whoever it is for. An assertion is used up last, when all else
about it held.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.auth.clients.certificates import is_subject
from gateway.auth.clients.registry import Clients, Registered
from gateway.auth.ports import Ports
from gateway.auth.store.database import digest_of
from gateway.core.smart.assertion import (
    ASSERTION_TYPE,
    claimed_client,
    read_assertion,
    refusal,
    wanted_key,
)
from gateway.core.smart.client import AuthMethod, Client
from gateway.errors import OAuthError, Unauthenticated
from gateway.tokens.certificate import Certificate
from gateway.tokens.compact import Compact, split
from gateway.tokens.signature import check_signature

MAX_BASIC: Final = 1024
BY_NAME: Final[tuple[AuthMethod, ...]] = ("none", "tls_client_auth", "self_signed_tls_client_auth")

_BASIC = re.compile(rb"[Bb][Aa][Ss][Ii][Cc] ([A-Za-z0-9+/]+={0,2})")
_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CREDENTIALS = re.compile(rb"([A-Za-z0-9._~-]{1,255}):([A-Za-z0-9._~-]{1,255})")
# What a secret is compared with that cannot be right: no secret has this digest.
_NOBODY: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class _Secret:
    """A client's id and secret, and by which method they came."""

    method: AuthMethod
    client: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows of its client: form, `Authorization` values, certificate of the connection."""

    form: Mapping[str, str] = field(repr=False)
    authorization: Sequence[bytes] = field(default=(), repr=False)
    certificate: Certificate | None = None


async def authenticate(
    ports: Ports, clients: Clients, shown: Credentials, now_s: int, audiences: Set[str]
) -> Client:
    """The client that shows these credentials.

    `audiences` are the addresses an assertion may be for: the endpoint's, or the token endpoint's.

    Raises:
        OAuthError: invalid_client with 401 for HTTP Basic and for no credentials at all, else with 400;
            invalid_request for credentials of two kinds.
        StateUnavailable.
    """
    form, authorization = shown.form, shown.authorization
    _check_single(form, authorization)
    if authorization:
        return await _by_secret(clients, _basic(form, authorization), 401)
    if "client_assertion" in form or "client_assertion_type" in form:
        return await _by_assertion(ports, clients, form, now_s, audiences)
    if "client_id" not in form:
        raise _refusal("The request does not say which client it is from.", 401)
    if "client_secret" in form:
        return await _by_secret(
            clients, _Secret("client_secret_post", form["client_id"], form["client_secret"]), 400
        )
    return await _by_name(ports, clients, form["client_id"], shown.certificate, now_s)


def _check_single(form: Mapping[str, str], authorization: Sequence[bytes]) -> None:
    """RFC 6749 section 2.3: a client must not use more than one method in a request."""
    by_assertion = "client_assertion" in form or "client_assertion_type" in form
    if bool(authorization) + ("client_secret" in form) + by_assertion > 1:
        raise OAuthError("invalid_request", "The client authenticates in more than one way.")


def _basic(form: Mapping[str, str], authorization: Sequence[bytes]) -> _Secret:
    """The credentials of HTTP Basic, percent-decoded (RFC 6749 section 2.3.1). That changes nothing in what
    came as it is: no id or secret of ours has a percent sign."""
    match = _BASIC.fullmatch(authorization[0]) if len(authorization) == 1 else None
    if match is None or len(match[1]) > MAX_BASIC:
        raise _refusal("The Authorization header is not one of the form: Basic <credentials>.", 401)
    try:
        raw = b64decode(match[1], validate=True)
    except ValueError as error:
        raise _refusal("The Basic credentials are not base64.", 401) from error
    name, _, secret = raw.partition(b":")  # parted before decoding: what is encoded may be a colon
    found = None if _STRAY_PERCENT.search(raw) else _CREDENTIALS.fullmatch(_decoded(name, secret))
    if found is None:
        raise _refusal("The Basic credentials are not an id and a secret that were given out.", 401)
    client = found[1].decode("ascii")
    if form.get("client_id", client) != client:
        raise _refusal("The client_id is not the client of the Authorization header.", 401)
    return _Secret("client_secret_basic", client, found[2].decode("ascii"))


def _decoded(name: bytes, secret: bytes) -> bytes:
    return unquote_to_bytes(name) + b":" + unquote_to_bytes(secret)


async def _by_secret(clients: Clients, given: _Secret, status: int) -> Client:
    found = await _in_use(clients, given.client, given.method)
    kept = _NOBODY if found is None or found.secret is None else found.secret
    right = hmac.compare_digest(digest_of(given.secret), kept)
    if found is None or not right:
        raise _refusal("The client or its secret is not right.", status)
    return found.client


async def _by_name(
    ports: Ports, clients: Clients, name: str, certificate: Certificate | None, now_s: int
) -> Client:
    """A public client, or one that its certificate proves to be what it says."""
    found = await _in_use(clients, name, *BY_NAME)
    if found is None or not await _is_proved(ports, clients, found, certificate, now_s):
        raise _refusal("The client is not known, or has to authenticate.", 400)
    return found.client


async def _is_proved(
    ports: Ports, clients: Clients, found: Registered, certificate: Certificate | None, now_s: int
) -> bool:
    client = found.client
    if client.auth_method == "none":
        return True
    if certificate is None:
        return False
    if client.auth_method == "tls_client_auth":
        authorities = ports.authorities
        return authorities is not None and is_subject(client, certificate, authorities, now_s)
    trusted = ports.fetch if found.registered_by == "operator" else None
    return await clients.keys.has_certificate(client, certificate.der, trusted, now_s)


async def _by_assertion(
    ports: Ports, clients: Clients, form: Mapping[str, str], now_s: int, audiences: Set[str]
) -> Client:
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise refusal("The client_assertion_type is not that of a JWT (RFC 7523), or there is no assertion.")
    text = form["client_assertion"]
    compact = _split(text)
    found = await _in_use(clients, claimed_client(compact.claims, form.get("client_id")), "private_key_jwt")
    if found is None:
        raise refusal("The client is not known, or not registered for private_key_jwt.")
    client, wanted = found.client, wanted_key(compact.header, found.client)
    trusted = ports.fetch if found.registered_by == "operator" else None
    key = await clients.keys.find(client, wanted, trusted, now_s)
    try:
        check_signature(text, compact.signature, wanted.algorithm, key)
    except Unauthenticated as error:
        raise refusal("The signature of the assertion does not hold.") from error
    assertion = read_assertion(compact.claims, client, audiences, now_s)
    # From here on it is used, whatever comes of the request.
    if not await clients.first_use(client.id, assertion.jti, assertion.expires_at_s, now_s):
        raise refusal("The assertion was used before.")
    return client


async def _in_use(clients: Clients, name: str, *methods: AuthMethod) -> Registered | None:
    """The client, if it may call now, and by one of these methods."""
    found = await clients.find(name)
    if found is None or found.disabled_s is not None or found.client.auth_method not in methods:
        return None
    return found


def _split(text: str) -> Compact:
    try:
        return split(text)
    except Unauthenticated as error:
        raise refusal("The assertion is not a signed JWT in its compact form.") from error


def _refusal(text: str, status: int) -> OAuthError:
    return OAuthError("invalid_client", text, status)
