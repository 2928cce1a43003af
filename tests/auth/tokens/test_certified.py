"""Tokens that are bound to a certificate, from their issue to their introspection (RFC 8705); and clients all
of whose tokens are bound, to that or to a key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.auth.clients.registry import Secrets
from gateway.core.smart.client import Client
from gateway.core.smart.metadata import read_metadata
from tests.auth.desk import CLIENTS, REDIRECT, SECRET, VERIFIER, Desk, basic
from tests.auth.tokens.test_token import claims_of, not_kept, said
from tests.support.certificates import Issued, issued
from tests.support.house import PUBLIC
from tests.tokens.holder import Holder

TOKEN, INTROSPECT = f"{PUBLIC}/auth/token", f"{PUBLIC}/auth/introspect"
MINE, OTHER, OVER = issued("mine"), issued("other"), issued("over", lives_s=-60)
HOLDER = Holder()

KEYED = replace(CLIENTS["public"], id="keyed", dpop_bound=True)
BOUND = replace(CLIENTS["public"], id="bound", certificate_bound=True)
SECRETIVE = replace(CLIENTS["symmetric"], id="secretive", certificate_bound=True)
SERVICE: dict[str, Any] = {
    "client_name": "Service",
    "token_endpoint_auth_method": "self_signed_tls_client_auth",
    "grant_types": ["client_credentials"],
    "scope": "system/*.rs",
    "jwks": {"keys": [MINE.jwk()]},
    "tls_client_certificate_bound_access_tokens": True,
}


async def registered(desk: Desk, client: Client) -> str:
    secret = Secrets(SECRET if client.kind == "symmetric" else None)
    return (await desk.clients.add(client, "operator", secret, desk.now_s)).client.id


async def ask(
    desk: Desk, form: dict[str, str], shown: Issued | None = MINE, proof: str | None = None, **headers: str
) -> httpx.Response:
    sent = dict(headers)
    if shown is not None:
        sent["Client-Cert"] = shown.header
    if proof is not None:
        sent["DPoP"] = proof
    return await desk.http.post("/auth/token", data=form, headers=sent)


async def exchanging(desk: Desk, client: str, code: str | None = None) -> dict[str, str]:
    code = code or await desk.approve(client)
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_id": client,
    }


def refreshing(token: str, client: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, "client_id": client}


def serving(client: str = "svc") -> dict[str, str]:
    return {"grant_type": "client_credentials", "scope": "system/*.rs", "client_id": client}


def given(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    not_kept(response)
    answer: dict[str, Any] = response.json()
    return answer


# --- Certificates ---------------------------------------------------------------------------------------


async def test_a_service_comes_with_its_certificate(desk: Desk) -> None:
    await registered(desk, read_metadata(SERVICE, "svc"))
    answer = given(await ask(desk, serving()))
    assert answer["token_type"] == "Bearer"
    assert claims_of(answer["access_token"])["cnf"] == {"x5t#S256": MINE.thumbprint}
    token = await desk.verify(answer["access_token"])
    assert token.confirmation == ("x5t#S256", MINE.thumbprint)
    facts = desk.entries("token.issue")[-1].facts
    assert (facts["x5t"], "jkt" in facts) == (MINE.thumbprint, False)
    for shown in (None, OTHER):
        said(await ask(desk, serving(), shown), 400, "invalid_client")


async def test_its_tokens_are_not_bound_unless_it_says_so(desk: Desk) -> None:
    metadata = {**SERVICE, "tls_client_certificate_bound_access_tokens": False}
    await registered(desk, read_metadata(metadata, "svc"))
    answer = given(await ask(desk, serving()))
    assert "cnf" not in claims_of(answer["access_token"])
    assert "x5t" not in desk.entries("token.issue")[-1].facts


async def test_such_a_service_may_bind_its_tokens_to_a_key(desk: Desk) -> None:
    metadata = {**SERVICE, "tls_client_certificate_bound_access_tokens": False}
    await registered(desk, read_metadata(metadata, "svc"))
    answer = given(await ask(desk, serving(), proof=HOLDER.prove("POST", TOKEN, desk.now_s)))
    assert claims_of(answer["access_token"])["cnf"] == {"jkt": HOLDER.thumbprint}


async def test_a_certificate_that_is_over_is_none(desk: Desk) -> None:
    await registered(desk, read_metadata({**SERVICE, "jwks": {"keys": [OVER.jwk()]}}, "svc"))
    said(await ask(desk, serving(), OVER), 400, "invalid_client")
    await registered(desk, BOUND)
    said(await ask(desk, await exchanging(desk, "bound"), OVER), 400, "invalid_request")


async def test_a_public_clients_tokens_and_refreshing_are_bound(desk: Desk) -> None:
    await registered(desk, BOUND)
    code = await desk.approve("bound")
    said(await ask(desk, await exchanging(desk, "bound", code), None), 400, "invalid_request")
    first = given(await ask(desk, await exchanging(desk, "bound", code)))
    assert claims_of(first["access_token"])["cnf"] == {"x5t#S256": MINE.thumbprint}
    said(await ask(desk, refreshing(first["refresh_token"], "bound"), None), 400, "invalid_request")
    said(await ask(desk, refreshing(first["refresh_token"], "bound"), OTHER), 400, "invalid_grant")
    second = given(await ask(desk, refreshing(first["refresh_token"], "bound")))
    assert claims_of(second["access_token"])["cnf"] == {"x5t#S256": MINE.thumbprint}


async def test_a_client_that_proves_who_it_is_may_change_its_certificate(desk: Desk) -> None:
    await registered(desk, SECRETIVE)
    form = await exchanging(desk, "secretive")
    first = given(await ask(desk, form, Authorization=basic("secretive")))
    refresh = refreshing(first["refresh_token"], "secretive")
    second = given(await ask(desk, refresh, OTHER, Authorization=basic("secretive")))
    assert claims_of(second["access_token"])["cnf"] == {"x5t#S256": OTHER.thumbprint}
    refresh = refreshing(second["refresh_token"], "secretive")
    said(await ask(desk, refresh, None, Authorization=basic("secretive")), 400, "invalid_request")


async def test_a_token_is_bound_in_one_way(desk: Desk) -> None:
    await registered(desk, BOUND)
    code, proof = await desk.approve("bound"), HOLDER.prove("POST", TOKEN, desk.now_s)
    for shown in (MINE, None):
        said(await ask(desk, await exchanging(desk, "bound", code), shown, proof), 400, "invalid_request")
    given(await ask(desk, await exchanging(desk, "bound", code)))


async def test_a_certificate_says_nothing_of_a_client_that_did_not_ask_for_it(desk: Desk) -> None:
    answer = given(await ask(desk, await exchanging(desk, "public")))
    assert "cnf" not in claims_of(answer["access_token"])
    given(await ask(desk, refreshing(answer["refresh_token"], "public"), None))


async def test_revoking_takes_the_certificate(desk: Desk) -> None:
    await registered(desk, read_metadata(SERVICE, "svc"))
    token = given(await ask(desk, serving()))["access_token"]
    form = {"token": token, "client_id": "svc"}
    for headers in ({}, {"Client-Cert": OTHER.header}):
        said(await desk.http.post("/auth/revoke", data=form, headers=headers), 400, "invalid_client")
    assert not desk.is_over(await desk.verify(token))
    answer = await desk.http.post("/auth/revoke", data=form, headers={"Client-Cert": MINE.header})
    assert answer.status_code == 200
    assert desk.is_over(await desk.verify(token))


# --- Introspection --------------------------------------------------------------------------------------


async def introspected(desk: Desk, scheme: str, token: str, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"{scheme} {token}", **headers}
    sent = {name.replace("_", "-"): value for name, value in sent.items()}
    return await desk.http.post("/auth/introspect", data={"token": token}, headers=sent)


async def test_introspection_tells_the_certificate(desk: Desk) -> None:
    await registered(desk, read_metadata(SERVICE, "svc"))
    token = given(await ask(desk, serving()))["access_token"]
    told = given(await introspected(desk, "Bearer", token, Client_Cert=MINE.header))
    assert (told["active"], told["token_type"]) == (True, "Bearer")
    assert told["cnf"] == {"x5t#S256": MINE.thumbprint}
    form = {"token": token, "client_id": "svc"}
    by_name = await desk.http.post("/auth/introspect", data=form, headers={"Client-Cert": MINE.header})
    assert given(by_name)["cnf"] == {"x5t#S256": MINE.thumbprint}


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("Bearer", {}),
        ("Bearer", {"Client_Cert": OTHER.header}),
        ("DPoP", {"Client_Cert": MINE.header}),
        ("DPoP", {}),
    ],
    ids=["no certificate", "another's", "with a proof", "neither"],
)
async def test_a_bound_token_asks_on_its_own_connections(
    desk: Desk, scheme: str, headers: dict[str, str]
) -> None:
    await registered(desk, read_metadata(SERVICE, "svc"))
    token = given(await ask(desk, serving()))["access_token"]
    if scheme == "DPoP":
        headers = {**headers, "DPoP": HOLDER.prove("POST", INTROSPECT, desk.now_s, token)}
    refused = await introspected(desk, scheme, token, **headers)
    said(refused, 401, "invalid_token")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


# --- Clients whose tokens are always bound to a key -----------------------------------------------------


async def test_a_client_may_rule_out_bearer_tokens(desk: Desk) -> None:
    await registered(desk, KEYED)
    code = await desk.approve("keyed")
    said(await ask(desk, await exchanging(desk, "keyed", code), None), 400, "invalid_dpop_proof")
    proof = HOLDER.prove("POST", TOKEN, desk.now_s)
    first = given(await ask(desk, await exchanging(desk, "keyed", code), None, proof))
    assert first["token_type"] == "DPoP"
    said(await ask(desk, refreshing(first["refresh_token"], "keyed"), None), 400, "invalid_dpop_proof")
    proof = HOLDER.prove("POST", TOKEN, desk.now_s)
    given(await ask(desk, refreshing(first["refresh_token"], "keyed"), None, proof))


# --- Codes that are bound to a key (RFC 9449 section 10) ------------------------------------------------


async def test_a_code_is_for_the_key_that_was_named_for_it(desk: Desk) -> None:
    code = await desk.approve(code={"jkt": HOLDER.thumbprint})
    form, other = await exchanging(desk, "public", code), Holder(number=1)
    said(await ask(desk, form, None), 400, "invalid_grant")
    said(await ask(desk, form, MINE), 400, "invalid_grant")
    said(await ask(desk, form, None, other.prove("POST", TOKEN, desk.now_s)), 400, "invalid_grant")
    answer = given(await ask(desk, form, None, HOLDER.prove("POST", TOKEN, desk.now_s)))
    assert claims_of(answer["access_token"])["cnf"] == {"jkt": HOLDER.thumbprint}
