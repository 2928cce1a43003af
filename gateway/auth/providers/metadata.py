"""What a provider says about itself (OpenID Connect Discovery sections 3 and 4), never older than it may be.

The document is the provider's own: it comes from below its issuer, and names that issuer letter for letter.
Its addresses are https, or on this machine. A document that fails any of this is as none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.tokens.compact import read_json
from gateway.tokens.fetch import Fetched, FetchFailed
from gateway.tokens.keysets import PAUSE_S, RemoteKeys, check_url, lifetime_s

WELL_KNOWN: Final = "/.well-known/openid-configuration"
CHALLENGES: Final = "code_challenge_methods_supported"
METHODS: Final = "token_endpoint_auth_methods_supported"
RESPONSES: Final = "response_types_supported"


class ProviderFailed(Exception):
    """A provider cannot be used, or answered what is not accepted; the text is for the operator's log."""


class Web(Protocol):
    """`HttpxFetch`: no redirects, no cookies, limits on bytes and time. Both raise FetchFailed."""

    async def __call__(self, url: str, /) -> Fetched: ...
    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Fetched: ...


@dataclass(frozen=True, slots=True)
class Metadata:
    """`names_itself` is whether each answer names its issuer (RFC 9207)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool


def well_known(issuer: str) -> str:
    """Where the metadata of an issuer is (OpenID Connect Discovery section 4)."""
    return issuer.removesuffix("/") + WELL_KNOWN


def read_metadata(data: bytes, issuer: str, auth_method: str) -> Metadata:
    """The metadata of a provider at which we authenticate by `auth_method`. Raises `ValueError`."""
    document = read_json(data)
    if not isinstance(document, dict):
        raise ValueError("the configuration is not a JSON object")
    if document.get("issuer") != issuer:
        raise ValueError("the configuration is of another issuer")
    if not _lists(document, RESPONSES, "code", None):
        raise ValueError("the provider has no authorization code flow")
    # A provider without PKCE need not say so; one that lists methods has to have ours.
    if CHALLENGES in document and not _lists(document, CHALLENGES, "S256", None):
        raise ValueError("the provider has PKCE without S256")
    if not _lists(document, METHODS, auth_method, "client_secret_basic"):
        raise ValueError(f"the provider does not take {auth_method}")
    names_itself = document.get("authorization_response_iss_parameter_supported", False)
    if not isinstance(names_itself, bool):
        raise ValueError("authorization_response_iss_parameter_supported is not true or false")
    return Metadata(
        _address(document, "authorization_endpoint"),
        _address(document, "token_endpoint"),
        _address(document, "jwks_uri"),
        names_itself,
    )


class RemoteMetadata:
    """The metadata and keys of the provider `issuer`. All who wait at one time share one fetch."""

    def __init__(self, issuer: str, auth_method: str, fetch: Web) -> None:
        """Raises `ValueError` unless `issuer` is https, or http to this machine."""
        check_url(issuer)
        self._issuer = issuer
        self._auth_method = auth_method
        self._fetch = fetch
        self._alone = asyncio.Lock()
        self._known: tuple[Metadata, RemoteKeys] | None = None
        self._fresh_until_s = 0
        self._next_try_s = 0

    async def current(self, now_s: int) -> tuple[Metadata, RemoteKeys]:
        """Raises ProviderFailed; after a fetch that failed, for PAUSE_S without another."""
        async with self._alone:
            if self._known is None or now_s >= self._fresh_until_s:
                self._known = await self._load(now_s)
            return self._known

    async def _load(self, now_s: int) -> tuple[Metadata, RemoteKeys]:
        if now_s < self._next_try_s:
            raise ProviderFailed("its configuration could not be had a moment ago")
        try:
            fetched = await self._fetch(well_known(self._issuer))
            if fetched.status != 200:
                raise FetchFailed(f"status {fetched.status}")
            metadata = read_metadata(fetched.body, self._issuer, self._auth_method)
        except (FetchFailed, ValueError) as cause:
            self._next_try_s = now_s + PAUSE_S
            raise ProviderFailed(f"its configuration cannot be used: {cause}") from cause
        self._fresh_until_s = now_s + lifetime_s(fetched.headers)
        if self._known is not None and self._known[0].jwks_uri == metadata.jwks_uri:
            return metadata, self._known[1]
        return metadata, RemoteKeys(metadata.jwks_uri, self._fetch)


def _lists(document: Mapping[str, object], name: str, value: str, default: str | None) -> bool:
    listed = document.get(name, [] if default is None else [default])
    return isinstance(listed, list) and value in listed


def _address(document: Mapping[str, object], name: str) -> str:
    url = document.get(name)
    if not isinstance(url, str):
        raise ValueError(f"the configuration has no {name}")
    try:
        check_url(url)
    except ValueError as cause:
        raise ValueError(f"{name} is not an https address without user and fragment") from cause
    return url
