"""An authorization request as it came, checked in the order that keeps a browser from being sent astray.

First who asks and where the answer goes: a client that is known, at an address that it registered, character
by character. Until that holds no browser is sent anywhere (RFC 6749 section 4.1.2.1). All else that is wrong
is an `OAuthError`, which goes to that address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote_plus, urlencode

from gateway.auth.ports import Base
from gateway.core.smart.client import Client
from gateway.core.smart.grant import narrow_request
from gateway.core.smart.kinds import is_thumbprint
from gateway.core.smart.parameters import read_parameters
from gateway.core.smart.pkce import read_challenge
from gateway.errors import BadRequest, OAuthCode, OAuthError

REFUSED: Final[dict[str, OAuthCode]] = {
    # OpenID Connect Core sections 6 and 7.2.1: what is not supported is refused by its own code.
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
LOG_IN_AGAIN: Final = frozenset({"login", "select_account"})

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Clients(Protocol):
    """The registry: a client that is in use, or None."""

    async def get(self, client: str, /) -> Client | None: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the answer goes. `state` is the client's own, and None if it sent none that can be read."""

    client: Client
    redirect_uri: str
    state: str | None

    def address(self, issuer: str, members: Mapping[str, str]) -> str:
        """The redirect URI with the answer, and who gives it (RFC 9207)."""
        state = {} if self.state is None else {"state": self.state}
        answer = urlencode({**members, **state, "iss": issuer})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{answer}"

    def refusal(self, issuer: str, error: OAuthError) -> str:
        return self.address(issuer, {"error": error.error, "error_description": error.text})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be put to a person; or must not be, if it is `silent`. `auth_after_s` is from when a
    log-in must be to count for it. `jkt` is the thumbprint of the key that the code is for."""

    scope: str
    base: Base
    challenge: str
    nonce: str | None
    jkt: str | None
    launch: str | None
    silent: bool
    auth_after_s: int


async def read_destination(data: bytes, clients: Clients) -> Destination:
    """Raises BadRequest in words for the person: the browser must not be sent anywhere."""
    try:
        named = read_parameters(_pieces(data, {"client_id", "redirect_uri"}))
    except OAuthError as error:
        raise BadRequest("The app that sent you here did not say clearly who it is.") from error
    client = await clients.get(named["client_id"]) if "client_id" in named else None
    if client is None:
        raise BadRequest("The app that sent you here is not known to this server.")
    # SMART App Launch 2.2 "Register App": exact, whatever else might lead to the same place.
    if named.get("redirect_uri") not in client.redirect_uris:
        raise BadRequest("The app that sent you here wants the answer at an address that is not its own.")
    return Destination(client, named["redirect_uri"], _state(data))


def read_asked(data: bytes, client: Client, bases: Mapping[str, Base], now_s: int) -> Asked:
    """Raises `OAuthError`, for the client."""
    given = read_parameters(data)
    for name, code in REFUSED.items():
        if name in given:
            raise OAuthError(code, f"The parameter {name} is not supported.")
    if "response_type" not in given:
        raise OAuthError("invalid_request", "The parameter response_type is missing.")
    if given["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "The response_type is not code.")
    if given.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "The response_mode is not query.")
    base = _base(given, bases)
    challenge = read_challenge(given.get("code_challenge"), given.get("code_challenge_method"))
    prompts = _prompts(given)
    return Asked(
        scope=_scope(given, client, base),
        base=base,
        challenge=challenge,
        nonce=given.get("nonce"),
        jkt=_jkt(given, client),
        launch=given.get("launch"),
        silent="none" in prompts,
        auth_after_s=_auth_after_s(given, prompts, now_s),
    )


def _pieces(data: bytes, names: Collection[str]) -> bytes:
    """The parameters of these names alone, still encoded; so that whatever else is sent cannot hide them."""

    def name(piece: bytes) -> str:
        return unquote_plus(piece.partition(b"=")[0].decode("latin-1"))

    return b"&".join(piece for piece in data.split(b"&") if name(piece) in names)


def _state(data: bytes) -> str | None:
    try:
        return read_parameters(_pieces(data, {"state"})).get("state")
    except OAuthError:
        return None  # it is refused with the rest of the request


def _base(given: Mapping[str, str], bases: Mapping[str, Base]) -> Base:
    """The FHIR base that `aud` names, or `resource`, which is the same (RFC 8707); one slash more is none."""
    named = {given[name].removesuffix("/") for name in ("aud", "resource") if name in given}
    if not named:
        raise OAuthError("invalid_request", "The parameter aud is missing: it names the FHIR server.")
    if len(named) > 1 or not named <= bases.keys():
        raise OAuthError("invalid_request", "The parameter aud is not the address of a FHIR server here.")
    return bases[named.pop()]


def _scope(given: Mapping[str, str], client: Client, base: Base) -> str:
    """The scope as asked, of which something can be granted, and `launch` exactly with a launch value."""
    if "scope" not in given:
        raise OAuthError("invalid_scope", "The parameter scope is missing.")
    granted = narrow_request(given["scope"], client, base.served)
    asks, has = "launch" in given["scope"].split(" "), "launch" in given
    if asks and not has:
        raise OAuthError("invalid_request", "The scope launch needs the parameter launch of an EHR launch.")
    if has and not asks:
        raise OAuthError("invalid_request", "The parameter launch needs the scope launch.")
    if asks and "launch" not in granted.context:
        raise OAuthError("invalid_scope", "The scope launch cannot be granted to this client.")
    return given["scope"]


def _jkt(given: Mapping[str, str], client: Client) -> str | None:
    """The key that the app will prove to hold when it exchanges the code (RFC 9449 section 10)."""
    jkt = given.get("dpop_jkt")
    if jkt is None:
        return None
    if not is_thumbprint(jkt):
        raise OAuthError("invalid_request", "The parameter dpop_jkt is not the thumbprint of a key.")
    if client.certificate_bound:
        raise OAuthError("invalid_request", "The tokens of this client are bound to its certificate.")
    return jkt


def _prompts(given: Mapping[str, str]) -> frozenset[str]:
    prompts = frozenset(given.get("prompt", "").split())
    if not prompts <= PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise OAuthError("invalid_request", "The parameter prompt has values that are unknown or do not fit.")
    return prompts


def _auth_after_s(given: Mapping[str, str], prompts: frozenset[str], now_s: int) -> int:
    if prompts & LOG_IN_AGAIN:
        return now_s
    if "max_age" not in given:
        return 0
    if _SECONDS.fullmatch(given["max_age"]) is None:
        raise OAuthError("invalid_request", "The parameter max_age is not a number of seconds.")
    return max(0, now_s - int(given["max_age"]))
