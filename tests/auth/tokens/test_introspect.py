"""Introspection (RFC 7662): everything of a token's launch for who may know, and for others one word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.auth.desk import APP_SCOPE, CONTEXT, KEY, Desk, basic
from tests.auth.tokens.test_token import claims_of, said
from tests.support.house import BASE, PUBLIC
from tests.tokens import forge

INACTIVE = {"active": False}


async def of_symmetric(desk: Desk, **grant: Any) -> dict[str, Any]:
    """The token response to a new approval of the client with a secret."""
    form = {
        "grant_type": "authorization_code",
        "code": await desk.approve("symmetric", **grant),
        "redirect_uri": "https://app.example/cb",
        "code_verifier": "v" * 64,
    }
    answer: dict[str, Any] = (await desk.post("/auth/token", form, Authorization=basic("symmetric"))).json()
    return answer


async def service_bearer(desk: Desk) -> str:
    answer: dict[str, str] = (await desk.service()).json()
    return f"Bearer {answer['access_token']}"


async def test_a_client_learns_all_of_its_own_token(desk: Desk) -> None:
    answer = await of_symmetric(desk)
    told = await desk.introspect(answer["access_token"])
    token, identity = await desk.verify(answer["access_token"]), claims_of(answer["id_token"])
    assert told == {
        "active": True,
        "token_type": "Bearer",
        "client_id": "symmetric",
        "scope": answer["scope"],
        "iss": identity["iss"],
        "sub": identity["sub"],
        "aud": BASE,
        "exp": token.expires_at_s,
        "iat": token.issued_at_s,
        "jti": token.jti,
        "fhirUser": identity["fhirUser"],
        "patient": answer["patient"],
        **{name: answer[name] for name in CONTEXT},
    }


async def test_the_case_is_told_of_both_tokens(desk: Desk) -> None:
    context = json.dumps({**CONTEXT, "case": "Claim/7"})
    answer = await of_symmetric(desk, context=context, role="doctor")
    assert answer["case"] == "Claim/7"
    for token in (answer["access_token"], answer["refresh_token"]):
        assert (await desk.introspect(token))["case"] == "Claim/7"
    assert "case" not in await desk.introspect((await of_symmetric(desk))["access_token"])


async def test_the_user_is_told_only_to_a_client_that_may_know(desk: Desk) -> None:
    answer = await of_symmetric(desk, scope="patient/*.rs")
    assert "fhirUser" not in await desk.introspect(answer["access_token"])


async def test_a_service_learns_of_any_clients_access_token(desk: Desk) -> None:
    answer, bearer = await desk.granted(), await service_bearer(desk)
    told = await desk.introspect(answer["access_token"], Authorization=bearer)
    assert (told["active"], told["client_id"], told["scope"]) == (True, "public", APP_SCOPE)
    itself = await desk.introspect(bearer.removeprefix("Bearer "), Authorization=bearer)
    assert (itself["active"], itself["client_id"]) == (True, "service")
    assert await desk.introspect(answer["refresh_token"], Authorization=bearer) == INACTIVE


async def test_an_app_learns_of_its_own_by_its_token(desk: Desk) -> None:
    mine, theirs = await desk.granted(), await of_symmetric(desk)
    bearer = f"Bearer {mine['access_token']}"
    assert (await desk.introspect(mine["access_token"], Authorization=bearer))["active"] is True
    assert (await desk.introspect(mine["refresh_token"], Authorization=bearer))["active"] is True
    for kind in ("access_token", "refresh_token"):
        assert await desk.introspect(theirs[kind], Authorization=bearer) == INACTIVE


async def test_a_refresh_token_is_told_to_its_client_until_it_is_used(desk: Desk) -> None:
    answer = await of_symmetric(desk)
    told = await desk.introspect(answer["refresh_token"])
    assert told.pop("exp") > desk.now_s + 90 * 86_400
    assert told == {
        "active": True,
        "iss": PUBLIC,
        "sub": "person-1",
        "aud": BASE,
        "client_id": "symmetric",
        "scope": APP_SCOPE,
        "patient": "pat-a",
        **CONTEXT,
    }
    form = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert (await desk.post("/auth/token", form, Authorization=basic("symmetric"))).status_code == 200
    assert await desk.introspect(answer["refresh_token"]) == INACTIVE


@pytest.mark.parametrize("token", ["invalid_token_value", "a.b.c", "x" * 43, "x" * 8000])
async def test_what_is_no_token_is_inactive(desk: Desk, token: str) -> None:
    assert await desk.introspect(token) == INACTIVE


async def test_what_is_over_is_inactive(desk: Desk) -> None:
    answer = await of_symmetric(desk)
    desk.ahead_s = 3600
    assert await desk.introspect(answer["access_token"]) == INACTIVE
    assert (await desk.introspect(answer["refresh_token"]))["active"] is True
    desk.ahead_s = 101 * 86_400
    assert await desk.introspect(answer["refresh_token"]) == INACTIVE


async def test_what_was_revoked_is_inactive(desk: Desk) -> None:
    answer = await of_symmetric(desk)
    form = {"token": answer["refresh_token"]}
    assert (await desk.post("/auth/revoke", form, Authorization=basic("symmetric"))).status_code == 200
    for kind in ("access_token", "refresh_token"):
        assert await desk.introspect(answer[kind]) == INACTIVE


async def test_what_rests_on_a_withdrawn_consent_is_inactive(desk: Desk) -> None:
    consent = await desk.permit(grantees=("client:symmetric",))
    answer = await of_symmetric(desk, consent=consent.id)
    assert (await desk.introspect(answer["access_token"]))["active"] is True
    await desk.withdraw(consent.id)
    for kind in ("access_token", "refresh_token"):
        assert await desk.introspect(answer[kind]) == INACTIVE


async def test_another_clients_token_is_inactive(desk: Desk) -> None:
    answer = await desk.granted()
    for kind in ("access_token", "refresh_token", "id_token"):
        assert await desk.introspect(answer[kind]) == INACTIVE


async def test_a_forged_token_is_inactive(desk: Desk) -> None:
    answer = await of_symmetric(desk)
    head, payload, signature = answer["access_token"].split(".")
    for forged in (
        f"{head}.{payload}.{signature[:-4]}AAAA",
        forge.token(KEY, "ES384", claims={"iss": PUBLIC, "aud": BASE, "exp": desk.now_s + 60}),
    ):
        assert await desk.introspect(forged) == INACTIVE


async def test_who_asks_says_who_they_are(desk: Desk) -> None:
    form = {"token": "any"}
    said(await desk.post("/auth/introspect", form), 401, "invalid_client")
    said(await desk.post("/auth/introspect", form, Authorization=basic("nobody")), 401, "invalid_client")
    said(await desk.post("/auth/introspect", {**form, "client_id": "public"}), 401, "invalid_client")
    said(await desk.post("/auth/introspect", {}, Authorization=basic("symmetric")), 400, "invalid_request")


@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "Bearer a b", "bearer  x", "Bearer a.b.c"])
async def test_a_bad_bearer_is_challenged(desk: Desk, header: str) -> None:
    response = await desk.post("/auth/introspect", {"token": "any"}, Authorization=header)
    said(response, 401, "invalid_token")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_revoked_bearer_is_refused(desk: Desk) -> None:
    bearer = await service_bearer(desk)
    proof = desk.asserting("service")
    await desk.post("/auth/revoke", {"token": bearer.removeprefix("Bearer "), **proof})
    said(await desk.post("/auth/introspect", {"token": "x"}, Authorization=bearer), 401, "invalid_token")


async def test_a_service_proves_itself_by_assertion(desk: Desk) -> None:
    text = (await desk.service()).json()["access_token"]
    proof = desk.asserting("service", f"{PUBLIC}/auth/introspect")
    response = await desk.post("/auth/introspect", {"token": text, **proof})
    assert response.json()["active"] is True
