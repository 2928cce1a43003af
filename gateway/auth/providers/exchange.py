"""A log-in at a provider as we see it: where the browser is sent, and what its answer is worth.

Authorization code flow with PKCE (OpenID Connect Core section 3.1, RFC 7636, RFC 9700 section 2.1). The code
goes to the provider's token endpoint from here, and what counts is the id_token that comes back: its
signature by a key of the provider, by an asymmetric algorithm, and every claim. The access token is not kept.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus, urlencode

from gateway.auth.providers.metadata import ProviderFailed, RemoteMetadata, Web
from gateway.auth.providers.provider import ClientSecret, Provider
from gateway.core.canon import b64url, sha256
from gateway.core.smart.assertion import ASSERTION_TYPE
from gateway.core.smart.id_token import Expected, LoggedIn, read_id_header, read_id_token
from gateway.errors import Unauthenticated
from gateway.tokens.compact import read_json, split
from gateway.tokens.fetch import FetchFailed
from gateway.tokens.signature import check_signature
from gateway.tokens.verifier import find_key

ASSERTION_S: Final = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """One log-in that was begun at `asked_s`. Nonce and verifier follow from `state` and a `key` that nobody
    else has, so that neither need be kept; each is 43 characters of base64url."""

    state: str = field(repr=False)
    key: bytes = field(repr=False)
    asked_s: int
    auth_after_s: int

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        return self._derived("verifier")

    def _derived(self, use: str) -> str:
        return b64url(hmac.digest(self.key, f"consentry/provider/v1 {use} {self.state}".encode(), "sha256"))


class OpenIdProvider:
    """One provider and the way to it. `redirect_uri` is ours for this provider and for no other, so that one
    provider's answer is never taken for another's (RFC 9700 section 4.4.2.2)."""

    def __init__(self, rule: Provider, redirect_uri: str, web: Web, new_id: Callable[[], str]) -> None:
        """Raises `ValueError` for an issuer that is not https, nor on this machine."""
        self.rule = rule
        self._redirect_uri = redirect_uri
        self._web = web
        self._new_id = new_id
        by_secret = isinstance(rule.credentials, ClientSecret)
        method = "client_secret_basic" if by_secret else "private_key_jwt"
        self._metadata = RemoteMetadata(rule.issuer, method, web)

    async def address(self, attempt: Attempt, *, anew: bool) -> str:
        """Where the browser goes; with `anew` the person is to log in there even if they are. Raises
        ProviderFailed."""
        metadata, _ = await self._metadata.current(attempt.asked_s)
        optional = {
            "resource": self.rule.resource,
            "prompt": "login" if anew else None,
            "max_age": str(attempt.asked_s - attempt.auth_after_s) if attempt.auth_after_s else None,
        }
        asked = {
            "response_type": "code",
            "client_id": self.rule.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self.rule.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": b64url(sha256(attempt.verifier.encode())),
            "code_challenge_method": "S256",
            **{name: value for name, value in optional.items() if value is not None},
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"

    async def check_sender(self, issuer: str | None, now_s: int) -> None:
        """Raises ProviderFailed if the answer is another's: by `issuer`, its parameter `iss` (RFC 9207)."""
        metadata, _ = await self._metadata.current(now_s)
        if issuer is None and metadata.names_itself:
            raise ProviderFailed("the answer does not name its issuer, as it always does")
        if issuer not in (None, self.rule.issuer):
            raise ProviderFailed("the answer names another issuer")

    async def redeem(self, code: str, attempt: Attempt, now_s: int) -> LoggedIn:
        """Who logged in, for a code. Raises ProviderFailed."""
        metadata, keys = await self._metadata.current(now_s)
        id_token = await self._exchange(code, attempt, metadata.token_endpoint, now_s)
        expected = Expected(
            self.rule.issuer, self.rule.client_id, attempt.nonce, attempt.asked_s, attempt.auth_after_s
        )
        try:
            compact = split(id_token)
            algorithm, key_id = read_id_header(compact.header, self.rule.algorithms)
            key = await find_key(keys, algorithm, key_id, now_s)
            check_signature(id_token, compact.signature, algorithm, key)
            return read_id_token(compact.claims, expected, now_s)
        except Unauthenticated as refused:
            raise ProviderFailed(f"its id_token: {refused.text}") from refused

    async def _exchange(self, code: str, attempt: Attempt, endpoint: str, now_s: int) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        proof, headers = self._proof(endpoint, now_s)
        try:
            answer = await self._web.post(endpoint, {**form, **proof}, headers)
            if answer.status != 200:
                raise FetchFailed(f"status {answer.status}")
            return _id_token(answer.body)
        except (FetchFailed, ValueError) as cause:
            raise ProviderFailed(f"its token endpoint: {cause}") from cause

    def _proof(self, endpoint: str, now_s: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The parameters and headers that show who we are."""
        client, credentials = self.rule.client_id, self.rule.credentials
        if isinstance(credentials, ClientSecret):
            # RFC 6749 section 2.3.1: each is encoded as in a form, and then the two together.
            pair = f"{quote_plus(client)}:{quote_plus(credentials.value)}"
            return {}, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        claims = {"iss": client, "sub": client, "aud": endpoint, "jti": self._new_id()}
        times = {"iat": now_s, "exp": now_s + ASSERTION_S}
        assertion = credentials.sign({**claims, **times}, "JWT")
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}, {}


def _id_token(body: bytes) -> str:
    document = read_json(body)
    id_token = document.get("id_token") if isinstance(document, dict) else None
    if not isinstance(id_token, str):
        raise ValueError("the answer has no id_token")
    return id_token
