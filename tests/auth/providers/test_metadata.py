"""A provider's own account of itself: what is needed of it, and what makes it as none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.auth.providers.metadata import (
    Metadata,
    ProviderFailed,
    RemoteMetadata,
    read_metadata,
    well_known,
)
from gateway.tokens.fetch import Fetched, FetchFailed
from gateway.tokens.keysets import DEFAULT_LIFETIME_S, PAUSE_S

ISSUER = "https://idp.example/realms/a"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://idp.example/authorize",
    "token_endpoint": "https://idp.example/token",
    "jwks_uri": "https://idp.example/keys",
    "response_types_supported": ["code", "id_token"],
}
NOW_S = 1_800_000_000


def document(**members: Any) -> bytes:
    """DOCUMENT with these over it; None takes one out."""
    whole = {**DOCUMENT, **members}
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def read(method: str = "client_secret_basic", **members: Any) -> Metadata:
    return read_metadata(document(**members), ISSUER, method)


def test_what_is_read() -> None:
    assert read() == Metadata(
        "https://idp.example/authorize", "https://idp.example/token", "https://idp.example/keys", False
    )
    assert read(authorization_response_iss_parameter_supported=True).names_itself


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://idp.example", "https://idp.example/.well-known/openid-configuration"),
        ("https://idp.example/", "https://idp.example/.well-known/openid-configuration"),
        ("https://idp.example/a", "https://idp.example/a/.well-known/openid-configuration"),
    ],
)
def test_where_it_is(issuer: str, url: str) -> None:
    assert well_known(issuer) == url


@pytest.mark.parametrize(
    ("method", "members"),
    [
        ("client_secret_basic", {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}),
        ("private_key_jwt", {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
        ("client_secret_basic", {"code_challenge_methods_supported": ["S256"]}),
        ("client_secret_basic", {"jwks_uri": "http://127.0.0.1:8080/keys"}),
        ("client_secret_basic", {"authorization_endpoint": "https://idp.example/authorize?tenant=a"}),
        ("client_secret_basic", {"unheard_of": {"a": [1]}}),
    ],
    ids=repr,
)
def test_these_will_do(method: str, members: dict[str, Any]) -> None:
    read(method, **members)


@pytest.mark.parametrize(
    ("method", "members"),
    [
        ("client_secret_basic", {"issuer": ISSUER + "/"}),
        ("client_secret_basic", {"issuer": "https://idp.example/realms/b"}),
        ("client_secret_basic", {"issuer": None}),
        ("client_secret_basic", {"response_types_supported": ["id_token"]}),
        ("client_secret_basic", {"response_types_supported": "code"}),
        ("client_secret_basic", {"response_types_supported": None}),
        ("client_secret_basic", {"code_challenge_methods_supported": ["plain"]}),
        ("client_secret_basic", {"code_challenge_methods_supported": []}),
        ("client_secret_basic", {"token_endpoint_auth_methods_supported": ["client_secret_post"]}),
        ("private_key_jwt", {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}),
        ("private_key_jwt", {}),
        ("client_secret_basic", {"authorization_response_iss_parameter_supported": "true"}),
        *(
            ("client_secret_basic", {name: value})
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
            for value in (
                None,
                1,
                "",
                "http://idp.example/x",
                "https://u@idp.example/x",
                "/x",
                "https://x/#y",
            )
        ),
    ],
    ids=repr,
)
def test_these_will_not(method: str, members: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        read(method, **members)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"<html>", document()[:-1], document() + b"{}"])
def test_what_is_no_document_will_not(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_metadata(data, ISSUER, "client_secret_basic")


@pytest.mark.parametrize("issuer", ["http://idp.example", "ftp://idp.example", "idp.example", ""])
def test_an_issuer_that_anybody_could_speak_for_is_none(issuer: str) -> None:
    with pytest.raises(ValueError):
        RemoteMetadata(issuer, "client_secret_basic", Shelf())


class Shelf:
    """Documents in the place of the network; `None` is no answer."""

    def __init__(self) -> None:
        self.body: bytes | None = document()
        self.headers: dict[str, str] = {}
        self.fetched: list[str] = []

    async def __call__(self, url: str) -> Fetched:
        self.fetched.append(url)
        if self.body is None:
            raise FetchFailed("nobody there")
        return Fetched(200, self.headers, self.body)

    async def post(self, url: str, form: Any, headers: Any) -> Fetched:
        raise AssertionError("no form belongs here")


async def test_it_is_fetched_again_when_it_is_stale_and_keys_stay() -> None:
    shelf = Shelf()
    remote = RemoteMetadata(ISSUER, "client_secret_basic", shelf)
    first = await remote.current(NOW_S)
    assert await remote.current(NOW_S + DEFAULT_LIFETIME_S - 1) == first
    assert len(shelf.fetched) == 1
    shelf.body = document(token_endpoint="https://idp.example/new")
    second = await remote.current(NOW_S + DEFAULT_LIFETIME_S)
    assert second[0].token_endpoint == "https://idp.example/new"
    assert second[1] is first[1]
    shelf.body = document(jwks_uri="https://idp.example/other-keys")
    assert (await remote.current(NOW_S + 2 * DEFAULT_LIFETIME_S))[1] is not first[1]


async def test_a_stale_one_is_not_used_when_there_is_no_new_one() -> None:
    shelf = Shelf()
    shelf.headers = {"cache-control": "max-age=10"}
    remote = RemoteMetadata(ISSUER, "client_secret_basic", shelf)
    await remote.current(NOW_S)
    shelf.body = None
    await remote.current(NOW_S + 9)
    for _ in range(2):
        with pytest.raises(ProviderFailed):
            await remote.current(NOW_S + 10)
    assert len(shelf.fetched) == 2
    shelf.body = document()
    await remote.current(NOW_S + 10 + PAUSE_S)
