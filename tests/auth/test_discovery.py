"""The documents about the authorization server, as the wired gateway serves them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app
from gateway.auth.server import scopes_served
from gateway.config import Auth, Secret, Settings, Upstream
from gateway.house import open_house
from tests.support.house import PUBLIC, prepare

SMART = "/.well-known/smart-configuration"
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
CLOSED = Auth(registration="closed", registration_token=None, local_log_in=True, majority=18)


@asynccontextmanager
async def served(folder: Path, auth: Auth = CLOSED, *more: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    settings = with_bases(replace(prepare(folder, "http://127.0.0.1:9/fhir"), auth=auth), more)
    async with open_house(settings) as house:
        transport = httpx.ASGITransport(app.application(house))
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
            yield client


def with_bases(settings: Settings, more: tuple[Upstream, ...]) -> Settings:
    return replace(settings, upstreams=(*settings.upstreams, *more))


def second(settings: Settings) -> Upstream:
    return replace(settings.upstreams[0], name="five", path="/r5/fhir", fhir_version="R5")


async def get(client: httpx.AsyncClient, path: str, **headers: str) -> dict[str, Any]:
    response = await client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*" if headers.get("Origin") else True
    document: dict[str, Any] = response.json()
    return document


async def test_the_documents_say_the_same_of_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        smart, openid, oauth = [await get(client, path) for path in (f"/fhir{SMART}", OPENID, OAUTH)]
        statement = await get_statement(client)
    assert smart["issuer"] == openid["issuer"] == oauth["issuer"] == PUBLIC
    assert smart["jwks_uri"] == openid["jwks_uri"] == f"{PUBLIC}/auth/jwks"
    for other in (openid, oauth):
        assert {name: other[name] for name in smart.keys() & other.keys()} == {
            name: smart[name] for name in smart.keys() & other.keys()
        }
    [uris] = statement["rest"][0]["security"]["extension"]
    told = {found["url"]: found["valueUri"] for found in uris["extension"]}
    assert told["token"] == smart["token_endpoint"] == f"{PUBLIC}/auth/token"
    assert told["authorize"] == smart["authorization_endpoint"]
    assert "register" not in told
    assert "capabilities" not in oauth


async def get_statement(client: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get("/fhir/metadata")).json()
    return document


async def test_every_address_is_answered(tmp_path: Path) -> None:
    """Not found would be said of one that is only announced."""
    async with served(tmp_path) as client:
        smart = await get(client, f"/fhir{SMART}")
        announced = [value for name, value in smart.items() if name.endswith(("_endpoint", "_uri"))]
        assert len(announced) == 6
        for address in announced:
            assert (await client.get(address.removeprefix(PUBLIC))).status_code in (200, 303, 400, 405)


@pytest.mark.parametrize("accept", ["application/json", "application/fhir+json", "text/html", "*/*"])
async def test_it_is_json_whatever_is_accepted(tmp_path: Path, accept: str) -> None:
    async with served(tmp_path) as client:
        assert await get(client, f"/fhir{SMART}", Accept=accept, Origin="https://evil.example")


async def test_each_base_has_its_own(tmp_path: Path) -> None:
    more = second(prepare(tmp_path, "http://127.0.0.1:9/fhir"))
    async with served(tmp_path, CLOSED, more) as client:
        assert await get(client, f"/fhir{SMART}") == await get(client, f"/r5/fhir{SMART}")
        for path in (SMART, f"/r5{SMART}", f"/fhir{SMART}/", f"/fhir{OPENID}", f"/r5/fhir{OAUTH}"):
            assert (await client.get(path)).status_code == 404, path


async def test_without_its_key_there_is_no_sign_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "scopes_served", lambda *, sign_on: scopes_served(sign_on=False))
    async with served(tmp_path) as client:
        smart = await get(client, f"/fhir{SMART}")
        assert (await client.get(OPENID)).status_code == 404
        oauth = await get(client, OAUTH)
    assert not {"issuer", "jwks_uri"} & smart.keys()
    assert "sso-openid-connect" not in smart["capabilities"]
    assert not {"openid", "fhirUser"} & set(smart["scopes_supported"])
    assert oauth["issuer"] == PUBLIC


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        (CLOSED, None),
        (replace(CLOSED, registration="open"), 201),
        (replace(CLOSED, registration="token", registration_token=Secret("t0ken-of-some-length")), 401),
    ],
    ids=["closed", "open", "token"],
)
async def test_registration_is_announced_where_it_is_possible(
    tmp_path: Path, auth: Auth, status: int | None
) -> None:
    wish = {"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "none"}
    async with served(tmp_path, auth) as client:
        smart = await get(client, f"/fhir{SMART}")
        answer = await client.post("/auth/register", json=wish)
        told = {"Authorization": "Bearer t0ken-of-some-length"}
        with_token = await client.post("/auth/register", content=json.dumps(wish), headers={**JSON, **told})
    assert smart.get("registration_endpoint") == (None if status is None else f"{PUBLIC}/auth/register")
    assert answer.status_code == (404 if status is None else status)
    if status == 401:
        assert with_token.status_code == 201


JSON = {"Content-Type": "application/json"}
