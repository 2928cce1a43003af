"""The keys of asymmetric clients: those registered by value, and those that clients publish at an address;
with them the certificates that clients have made themselves.

A published set is used only while it is fresh (`gateway.tokens.keysets`: never longer than Cache-Control
allows, one more fetch per cool-down for a key id that is not in it, none from a redirect). Addresses that
came by dynamic registration are anybody's words: they are fetched from public networks alone, and kept apart
so that nobody can push the operator's own clients out of the cache.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from gateway.auth.clients.certificates import check_certified, check_subject
from gateway.auth.clients.public_fetch import PublicFetch
from gateway.core.smart.assertion import Wanted, choose_key, refusal
from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import PublicKey
from gateway.errors import OAuthError, Unauthenticated
from gateway.tokens.fetch import Fetched
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.keysets import RemoteKeys
from gateway.tokens.signature import VerificationKey

MOST_SETS: Final = 256

KeySet = tuple[VerificationKey, ...]
Fetch = Callable[[str], Awaitable[Fetched]]


def check_sound(client: Client) -> None:
    """Raises OAuthError invalid_client_metadata if nothing could be proved by a key of the client (too short,
    numbers that are no key, a certificate of another key), or no certificate can have its subject."""
    try:
        sound = len(_by_value(client.keys)) == len(client.keys)
        for key in client.keys:
            if key.certificate is not None:
                check_certified(key)
    except ValueError:
        sound = False
    if not sound:
        raise OAuthError(
            "invalid_client_metadata", "The jwks has a key that is too short, no sound key, or not its own."
        )
    try:
        check_subject(client)
    except ValueError as error:
        raise OAuthError(
            "invalid_client_metadata", "The subject of the client's certificate is not written as one."
        ) from error


class ClientKeys:
    """The key sets of all clients. `public_fetch` gets what an address holds that is not to be trusted."""

    def __init__(self, public_fetch: Fetch | None = None, most_sets: int = MOST_SETS) -> None:
        self._public_fetch = PublicFetch() if public_fetch is None else public_fetch
        self._trusted, self._untrusted = _Sets(most_sets), _Sets(most_sets)

    async def find(self, client: Client, wanted: Wanted, fetch: Fetch | None, now_s: int) -> VerificationKey:
        """The one key of the client that is wanted. Addresses are asked by `fetch`, if the operator set
        them; without it as anybody's. Raises OAuthError invalid_client."""
        if not wanted.jwks_uris:
            return choose_key([_by_value(client.keys)], wanted)
        sets = self._at(wanted.jwks_uris, fetch)
        found = await _had(keys.current(now_s) for keys in sets)
        if not any(key.id == wanted.key_id for keys in found for key in keys):
            found = await _had(keys.after_miss(now_s) for keys in sets)
        return choose_key(found, wanted)

    async def has_certificate(self, client: Client, der: bytes, fetch: Fetch | None, now_s: int) -> bool:
        """Whether one of the client's keys has this certificate, byte for byte (RFC 8705 section 2.2).
        `fetch`, and raises, as `find`."""
        if not client.jwks_uris:
            return _holds([_by_value(client.keys)], der)
        sets = self._at(client.jwks_uris, fetch)
        if _holds(await _had(keys.current(now_s) for keys in sets), der):
            return True
        return _holds(await _had(keys.after_miss(now_s) for keys in sets), der)

    def _at(self, uris: Sequence[str], fetch: Fetch | None) -> list[RemoteKeys]:
        if fetch is None:
            return [self._untrusted.at(uri, self._public_fetch) for uri in uris]
        return [self._trusted.at(uri, fetch) for uri in uris]


class _Sets:
    """The published sets that were asked for last, by address."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sets: OrderedDict[str, RemoteKeys] = OrderedDict()

    def at(self, uri: str, fetch: Fetch) -> RemoteKeys:
        if uri not in self._sets:
            self._sets[uri] = RemoteKeys(uri, fetch)
        self._sets.move_to_end(uri)
        while len(self._sets) > self._most:
            self._sets.popitem(last=False)
        return self._sets[uri]


async def _had(asked: Iterable[Awaitable[KeySet]]) -> list[KeySet]:
    """The sets that are to be had now, of those asked for at once. Raises OAuthError if there is none."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    sets: list[KeySet] = []
    for answer in answers:
        if isinstance(answer, tuple):
            sets.append(answer)
        elif not isinstance(answer, Unauthenticated):
            raise answer
    if not sets:
        raise refusal("The client's key set is not to be had now.")
    return sets


def _holds(sets: Iterable[KeySet], der: bytes) -> bool:
    return any(key.certificate == der for keys in sets for key in keys)


def _by_value(keys: Sequence[PublicKey]) -> KeySet:
    return parse_jwks(json.dumps({"keys": [key.jwk for key in keys]}).encode())
