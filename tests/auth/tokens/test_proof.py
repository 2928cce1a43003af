"""Tokens that are bound to a key, from their issue to their introspection (RFC 9449)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.auth.store.grants import GRACE_S
from gateway.core.smart.dpop import ALGORITHMS, LIVES_S, SKEW_S
from gateway.errors import LedgerUnavailable
from tests.auth.desk import REDIRECT, VERIFIER, Desk, basic
from tests.auth.tokens.test_token import claims_of, not_kept, said
from tests.support.house import PUBLIC
from tests.tokens.holder import Holder

TOKEN = f"{PUBLIC}/auth/token"
INTROSPECT = f"{PUBLIC}/auth/introspect"
OWNER, OTHER = Holder(), Holder(number=1)


def proof(desk: Desk, holder: Holder = OWNER, method: str = "POST", address: str = TOKEN, **more: Any) -> str:
    return holder.prove(method, address, desk.now_s, **more)


async def with_code(
    desk: Desk, *proofs: str, client: str = "public", code: str | None = None
) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code or await desk.approve(client),
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **({"client_id": client} if client == "public" else {}),
    }
    return await _sent(desk, form, client, proofs)


async def with_refresh(desk: Desk, token: str, *proofs: str, client: str = "public") -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await _sent(desk, form | ({"client_id": client} if client == "public" else {}), client, proofs)


async def _sent(desk: Desk, form: dict[str, str], client: str, proofs: tuple[str, ...]) -> httpx.Response:
    headers = [("DPoP", value) for value in proofs]
    if client != "public":
        headers.append(("Authorization", basic(client)))
    return await desk.http.post("/auth/token", data=form, headers=headers)


async def given(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    not_kept(response)
    answer: dict[str, Any] = response.json()
    return answer


# --- Issue -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["public", "symmetric"])
async def test_a_proof_binds_the_token_and_its_entry(desk: Desk, client: str) -> None:
    answer = await given(await with_code(desk, proof(desk), client=client))
    assert answer["token_type"] == "DPoP"
    assert claims_of(answer["access_token"])["cnf"] == {"jkt": OWNER.thumbprint}
    assert (await desk.verify(answer["access_token"])).confirmation == ("jkt", OWNER.thumbprint)
    [entry] = desk.entries("token.issue")
    assert entry.facts["jkt"] == OWNER.thumbprint


async def test_without_one_the_token_is_a_bearer_token(desk: Desk) -> None:
    answer = await given(await with_code(desk))
    assert answer["token_type"] == "Bearer"
    assert "cnf" not in claims_of(answer["access_token"])
    [entry] = desk.entries("token.issue")
    assert "jkt" not in entry.facts


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_services_have_bound_tokens_too(desk: Desk, algorithm: str) -> None:
    holder = Holder(algorithm)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **desk.asserting("service")}
    answer = await given(await desk.post("/auth/token", form, DPoP=proof(desk, holder)))
    assert (answer["token_type"], answer["expires_in"]) == ("DPoP", 300)
    assert (await desk.verify(answer["access_token"])).confirmation == ("jkt", holder.thumbprint)


def bad_proofs(desk: Desk) -> dict[str, list[str]]:
    return {
        "empty": [""],
        "not a JWT": ["x"],
        "for another address": [proof(desk, address=f"{PUBLIC}/auth/introspect")],
        "for another server": [proof(desk, address="https://evil.example/auth/token")],
        "for another method": [proof(desk, method="GET")],
        "two": [proof(desk), proof(desk)],
        "too old": [OWNER.prove("POST", TOKEN, desk.now_s - LIVES_S - SKEW_S - 5)],
        "to come": [OWNER.prove("POST", TOKEN, desk.now_s + SKEW_S + 5)],
        "with a private key": [proof(desk, header={"jwk": {**OWNER.jwk, "d": "AAAA"}})],
        "of another's key": [proof(desk, header={"jwk": OTHER.jwk})],
        "of no algorithm": [proof(desk, header={"alg": "none"})],
        "without a jti": [proof(desk, jti=None)],
        "that is none": [proof(desk, header={"typ": "JWT"})],
    }


async def test_another_proof_issues_nothing_and_uses_nothing_up(desk: Desk) -> None:
    code = await desk.approve()
    for proofs in bad_proofs(desk).values():
        said(await with_code(desk, *proofs, code=code), 400, "invalid_dpop_proof")
    assert not desk.entries("token.issue")
    assert (await given(await with_code(desk, proof(desk), code=code)))["token_type"] == "DPoP"


async def test_a_proof_is_used_once(desk: Desk) -> None:
    used = proof(desk)
    await given(await with_code(desk, used))
    said(await with_code(desk, used), 400, "invalid_dpop_proof")
    both = proof(desk)
    codes = [await desk.approve(), await desk.approve()]
    answers = await asyncio.gather(*(with_code(desk, both, code=code) for code in codes))
    assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_a_client_that_is_refused_uses_no_proof_up(desk: Desk) -> None:
    kept = proof(desk)
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody"}
    said(await desk.post("/auth/token", form, DPoP=kept), 400, "invalid_client")
    await given(await with_code(desk, kept))


async def test_without_a_memory_of_proofs_nothing_is_issued(desk: Desk) -> None:
    desk.ports.used_proofs.close()
    response = await with_code(desk, proof(desk))
    assert (response.status_code, response.json()) == (503, {"error": "temporarily_unavailable"})
    assert not desk.entries("token.issue")


# --- Refresh -----------------------------------------------------------------------------------------


async def test_a_public_client_refreshes_with_its_key_alone(desk: Desk) -> None:
    first = await given(await with_code(desk, proof(desk)))
    for proofs in ((), (proof(desk, OTHER),)):
        said(await with_refresh(desk, first["refresh_token"], *proofs), 400, "invalid_grant")
    second = await given(await with_refresh(desk, first["refresh_token"], proof(desk)))
    assert (second["token_type"], claims_of(second["access_token"])["cnf"]) == (
        "DPoP",
        {"jkt": OWNER.thumbprint},
    )
    said(await with_refresh(desk, second["refresh_token"], proof(desk, OTHER)), 400, "invalid_grant")
    await given(await with_refresh(desk, second["refresh_token"], proof(desk)))


async def test_a_key_that_comes_later_binds_from_then_on(desk: Desk) -> None:
    first = await given(await with_code(desk))
    second = await given(await with_refresh(desk, first["refresh_token"], proof(desk)))
    said(await with_refresh(desk, second["refresh_token"]), 400, "invalid_grant")
    said(await with_refresh(desk, first["refresh_token"], proof(desk, OTHER)), 400, "invalid_grant")
    await given(await with_refresh(desk, second["refresh_token"], proof(desk)))


async def test_a_client_that_proves_who_it_is_may_change_its_key(desk: Desk) -> None:
    first = await given(await with_code(desk, proof(desk), client="symmetric"))
    second = await given(
        await with_refresh(desk, first["refresh_token"], proof(desk, OTHER), client="symmetric")
    )
    assert claims_of(second["access_token"])["cnf"] == {"jkt": OTHER.thumbprint}
    third = await given(await with_refresh(desk, second["refresh_token"], client="symmetric"))
    assert third["token_type"] == "Bearer"


async def test_a_code_that_was_given_back_may_come_with_another_key(desk: Desk) -> None:
    code = await desk.approve()
    desk.failing.append(LedgerUnavailable())
    assert (await with_code(desk, proof(desk), code=code)).status_code == 503
    desk.failing.clear()
    answer = await given(await with_code(desk, proof(desk, OTHER), code=code))
    assert claims_of(answer["access_token"])["cnf"] == {"jkt": OTHER.thumbprint}
    await given(await with_refresh(desk, answer["refresh_token"], proof(desk, OTHER)))


async def test_a_replay_ends_a_bound_grant_whoever_it_is(desk: Desk) -> None:
    first = await given(await with_code(desk, proof(desk)))
    second = await given(await with_refresh(desk, first["refresh_token"], proof(desk)))
    desk.ahead_s = GRACE_S + 1
    said(await with_refresh(desk, first["refresh_token"]), 400, "invalid_grant")
    assert desk.is_over(await desk.verify(second["access_token"]))


# --- Introspection -----------------------------------------------------------------------------------


async def test_introspection_tells_the_key(desk: Desk) -> None:
    answer = await given(await with_code(desk, proof(desk), client="symmetric"))
    told = await desk.introspect(answer["access_token"])
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "DPoP", {"jkt": OWNER.thumbprint})


async def introspected(desk: Desk, token: str, scheme: str, *proofs: str) -> httpx.Response:
    headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", value) for value in proofs)]
    return await desk.http.post("/auth/introspect", data={"token": token}, headers=headers)


def challenge(error: str) -> str:
    return f'DPoP error="{error}", algs="{" ".join(ALGORITHMS)}"'


async def test_a_token_that_is_none_is_challenged_by_its_scheme(desk: Desk) -> None:
    bearer = 'Bearer error="invalid_token"'
    for scheme, expected in (("DPoP", challenge("invalid_token")), ("Bearer", bearer)):
        response = await introspected(desk, "a.b.c", scheme, "x")
        said(response, 401, "invalid_token")
        assert response.headers["www-authenticate"] == expected


async def test_a_bound_token_asks_with_its_proof(desk: Desk) -> None:
    token = (await given(await with_code(desk, proof(desk))))["access_token"]
    sound = proof(desk, address=INTROSPECT, token=token)
    told = await given(await introspected(desk, token, "DPoP", sound))
    assert (told["active"], told["cnf"]) == (True, {"jkt": OWNER.thumbprint})
    refused: dict[str, tuple[str, list[str], str]] = {
        "as bearer": ("Bearer", [], "invalid_token"),
        "as bearer, with a proof": ("Bearer", [sound], "invalid_token"),
        "no proof": ("DPoP", [], "invalid_dpop_proof"),
        "again": ("DPoP", [sound], "invalid_dpop_proof"),
        "no ath": ("DPoP", [proof(desk, address=INTROSPECT)], "invalid_dpop_proof"),
        "another's": ("DPoP", [proof(desk, OTHER, address=INTROSPECT, token=token)], "invalid_token"),
        "elsewhere": ("DPoP", [proof(desk, token=token)], "invalid_dpop_proof"),
    }
    for name, (scheme, proofs, error) in refused.items():
        response = await introspected(desk, token, scheme, *proofs)
        said(response, 401, error)
        assert response.headers["www-authenticate"] == challenge(error), name


async def test_a_bearer_token_is_not_taken_with_a_proof(desk: Desk) -> None:
    token = (await given(await with_code(desk)))["access_token"]
    assert (await given(await introspected(desk, token, "Bearer")))["active"] is True
    sound = proof(desk, address=INTROSPECT, token=token)
    said(await introspected(desk, token, "DPoP", sound), 401, "invalid_token")
