"""The keys of clients: which are registered, and how long a published set is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.auth.clients.client_keys import ClientKeys
from gateway.core.smart.metadata import read_metadata
from gateway.errors import OAuthError
from gateway.tokens.fetch import Fetched, HttpxFetch
from gateway.tokens.keysets import COOL_DOWN_S, PAUSE_S
from tests.auth.key_server import KeyServer, key_server
from tests.auth.registry import (
    EC,
    EC_JWK,
    JWKS,
    NOW_S,
    RSA_JWK,
    SERVICE,
    Registry,
    assertion,
    form,
    make_registry,
)
from tests.tokens import forge
from tests.upstream.test_tls import LOOPBACK, Authority

SECOND = "https://svc.example/second.json"
NEXT = forge.private_key("RS384", 2)
NEXT_JWK = forge.public_jwk(NEXT, "next")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = make_registry(tmp_path)
    yield made
    made.database.close()


async def passes(registry: Registry, client: str = "svc", **more: Any) -> bool:
    """Whether an assertion of the client is accepted, signed by the first RSA key if nothing is said."""
    sent = assertion(client, **{"claims": {"exp": registry.now_s + 300}, **more})
    try:
        return (await registry.authenticate(form(sent))).id == client
    except OAuthError as error:
        if (error.error, error.status) != ("invalid_client", 400):
            raise
        return False


async def passes_next(registry: Registry, client: str = "svc") -> bool:
    return await passes(registry, client, key=NEXT, header={"kid": "next"})


# --- How long a set is used --------------------------------------------------------------------------


async def test_a_set_is_used_as_long_as_it_says_and_no_longer(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uri": JWKS})
    registry.trusted.put(RSA_JWK, cache_control="max-age=60")
    assert await passes(registry)
    registry.trusted.put(NEXT_JWK, cache_control="max-age=60")
    registry.now_s += 59
    assert await passes(registry)
    registry.now_s += 1
    assert not await passes(registry)
    assert await passes_next(registry)


@pytest.mark.parametrize("said", ["no-store", "no-cache", "max-age=0", "max-age=1"])
async def test_a_set_that_is_not_to_be_kept_is_asked_for_again(registry: Registry, said: str) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uri": JWKS})
    registry.trusted.put(RSA_JWK, cache_control=said)
    assert await passes(registry)
    registry.trusted.put(NEXT_JWK, cache_control=said)
    registry.now_s += 1
    assert not await passes(registry)
    assert await passes_next(registry)


async def test_a_new_key_is_found_at_once_and_then_once_per_cool_down(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uri": JWKS})
    registry.trusted.put(RSA_JWK, cache_control="max-age=3600")
    assert await passes(registry)
    registry.trusted.put(RSA_JWK, NEXT_JWK, cache_control="max-age=3600")
    registry.now_s += 1
    assert await passes_next(registry)
    for _ in range(3):
        assert not await passes(registry, header={"kid": "unknown"})
    assert registry.trusted.asked[JWKS] == 2
    registry.now_s += COOL_DOWN_S
    assert not await passes(registry, header={"kid": "unknown"})
    assert registry.trusted.asked[JWKS] == 3


async def test_a_key_taken_back_is_used_no_longer_than_its_set(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uri": JWKS})
    registry.trusted.put(RSA_JWK, cache_control="max-age=60")
    assert await passes(registry)
    del registry.trusted.answers[JWKS]
    registry.now_s += 60
    assert not await passes(registry)
    registry.trusted.put(RSA_JWK)
    assert not await passes(registry)  # the pause after a fetch that failed
    registry.now_s += PAUSE_S
    assert await passes(registry)


# --- Several addresses -------------------------------------------------------------------------------


async def test_a_key_may_be_at_any_of_several_addresses(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uris": [JWKS, SECOND]})
    registry.trusted.put(EC_JWK)
    registry.trusted.put(RSA_JWK, url=SECOND)
    assert await passes(registry)
    assert await passes(registry, key=EC, algorithm="ES384")
    assert await passes(registry, header={"jku": SECOND})
    assert not await passes(registry, header={"jku": JWKS})


async def test_the_same_key_may_be_at_both_but_not_another_of_its_name(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uris": [JWKS, SECOND]})
    registry.trusted.put(RSA_JWK)
    registry.trusted.put(EC_JWK, RSA_JWK, url=SECOND)
    assert await passes(registry)
    registry.now_s += 300
    registry.trusted.put(forge.public_jwk(NEXT, "rsa"), url=SECOND)
    assert not await passes(registry)


async def test_one_address_that_fails_does_not_keep_the_other_back(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uris": [JWKS, SECOND]})
    registry.trusted.put(RSA_JWK, url=SECOND)
    assert await passes(registry)


# --- Whose address it is -----------------------------------------------------------------------------


async def test_a_strangers_address_is_asked_as_a_strangers(registry: Registry) -> None:
    await registry.add("stranger", {**SERVICE, "jwks_uri": JWKS}, by="dynamic")
    registry.trusted.put(RSA_JWK)
    assert not await passes(registry, "stranger")
    assert (registry.trusted.asked, registry.public.asked) == ({}, {JWKS: 1})
    registry.now_s += PAUSE_S
    registry.public.put(RSA_JWK)
    assert await passes(registry, "stranger")


async def test_strangers_do_not_push_the_operators_sets_out(registry: Registry) -> None:
    registry.clients.keys = ClientKeys(registry.public, most_sets=2)
    await registry.add("svc", {**SERVICE, "jwks_uri": JWKS})
    registry.trusted.put(RSA_JWK)
    assert await passes(registry)
    for number in range(3):
        url = f"https://stranger.example/{number}"
        await registry.add(f"stranger-{number}", {**SERVICE, "jwks_uri": url}, by="dynamic")
        registry.public.put(RSA_JWK, url=url)
        assert await passes(registry, f"stranger-{number}")
    assert await passes(registry, "stranger-0")  # asked again: only two of theirs are kept
    assert registry.public.asked["https://stranger.example/0"] == 2
    assert await passes(registry)
    assert registry.trusted.asked == {JWKS: 1}


# --- Keys by value -----------------------------------------------------------------------------------

SHORT = forge.private_key("RS384", 9, bits=1024)
UNSOUND: dict[str, dict[str, object]] = {
    "too short": forge.public_jwk(SHORT, "short"),
    "not on its curve": {**EC_JWK, "y": EC_JWK["x"]},
    "an exponent of one": {**RSA_JWK, "e": "AQ"},
}


@pytest.mark.parametrize("case", UNSOUND)
async def test_keys_that_verify_nothing_cannot_be_registered(registry: Registry, case: str) -> None:
    with pytest.raises(OAuthError) as caught:
        await registry.add("svc", {**SERVICE, "jwks": {"keys": [RSA_JWK, UNSOUND[case]]}})
    assert caught.value.error == "invalid_client_metadata"
    assert await registry.clients.find("svc") is None
    await registry.add("svc", {**SERVICE, "jwks": {"keys": [RSA_JWK]}})
    with pytest.raises(OAuthError):
        await registry.clients.replace(read_metadata({**SERVICE, "jwks": {"keys": [UNSOUND[case]]}}, "svc"))
    assert await passes(registry)


# --- Over the network --------------------------------------------------------------------------------


async def behind(registry: Registry, server: KeyServer, authority: Authority, **limits: Any) -> None:
    """The registry asks the server for the keys of `svc`."""
    registry.ports = replace(registry.ports, fetch=HttpxFetch(tls=authority.client(), **limits))
    await registry.add("svc", {**SERVICE, "jwks_uri": server.url})


async def test_keys_come_over_https_and_rotate(registry: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with key_server(authority.server(LOOPBACK)) as server:
        await behind(registry, server, authority)
        server.put(RSA_JWK, cache_control="max-age=1")
        assert await passes(registry)
        server.put(NEXT_JWK, cache_control="no-store")
        assert await passes(registry)
        registry.now_s += 1
        assert await passes_next(registry)
        assert not await passes(registry)
        server.put(RSA_JWK)
        registry.now_s += 1
        assert await passes(registry)
    assert len(server.heads) == 3
    assert all("\r\naccept: application/json\r\n" in head.lower() for head in server.heads)


async def test_a_server_that_proves_another_name_gives_no_keys(registry: Registry, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), tmp_path / "other"
    other.mkdir()
    async with key_server(Authority(other).server(LOOPBACK)) as server:
        await behind(registry, server, authority)
        server.put(RSA_JWK)
        assert not await passes(registry)
    assert server.heads == []


BAD_SERVERS: dict[str, dict[str, Any]] = {
    "status 500": {"status": "500 Internal Server Error"},
    "status 404": {"status": "404 Not Found"},
    "status 201": {"status": "201 Created"},
    "slow": {"pause_s": 2},
    "huge": {"body": b'{"keys":[], "x":"' + b"x" * 300_000 + b'"}'},
    "not JSON": {"body": b"<html>"},
    "no set": {"body": b"{}"},
    "a private key": {"body": forge.jwks({**RSA_JWK, "d": "AQAB"})},
    "no keys": {"body": forge.jwks()},
}


@pytest.mark.parametrize("case", BAD_SERVERS)
async def test_a_server_that_fails_gives_no_keys(registry: Registry, tmp_path: Path, case: str) -> None:
    authority = Authority(tmp_path)
    async with key_server(authority.server(LOOPBACK)) as server:
        await behind(registry, server, authority, timeout_s=0.5)
        server.put(RSA_JWK)
        for name, value in BAD_SERVERS[case].items():
            setattr(server, name, value)
        assert not await passes(registry)
        assert len(server.heads) == 1


async def test_a_redirect_is_not_followed(registry: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.server(LOOPBACK)
    async with key_server(tls) as right, key_server(tls) as server:
        right.put(RSA_JWK)
        server.put(RSA_JWK, location=right.url)
        server.status = "302 Found"
        await behind(registry, server, authority)
        assert not await passes(registry)
        assert (len(server.heads), len(right.heads)) == (1, 0)


async def test_a_set_of_another_status_is_none_however_good(registry: Registry) -> None:
    await registry.add("svc", {**SERVICE, "jwks_uri": JWKS})
    registry.trusted.answers[JWKS] = Fetched(500, {}, forge.jwks(RSA_JWK))
    assert not await passes(registry)
    assert registry.now_s == NOW_S
