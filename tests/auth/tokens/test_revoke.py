"""Revocation (RFC 7009): what a client gives back is over at once, and nobody else's is touched."""

from __future__ import annotations

import pytest

from gateway.errors import LedgerUnavailable
from tests.auth.desk import ORIGIN, SECRET, Desk, basic
from tests.auth.tokens.test_token import said
from tests.support.house import PUBLIC


async def test_an_access_token_is_over_and_its_entry_named(desk: Desk) -> None:
    answer = await desk.granted()
    token = await desk.verify(answer["access_token"])
    for _ in range(2):  # what is over stays over, and is told once
        response = await desk.post(
            "/auth/revoke", {"token": answer["access_token"], "client_id": "public"}, Origin=ORIGIN
        )
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["access-control-allow-origin"] == ORIGIN
    assert desk.is_over(token)
    [entry] = desk.entries("token.revoke")
    assert {**entry.facts} | {"ms": 0, "rid": "", "pol": ""} == {
        "act": "public",
        "cli": "public",
        "ms": 0,
        "pol": "",
        "rid": "",
        "rsn": "client-request",
        "tok": [*(token.issued or ())],
    }
    assert (await desk.refresh(answer["refresh_token"])).status_code == 200


async def test_a_refresh_token_takes_its_grant_with_it(desk: Desk) -> None:
    first = await desk.granted()
    second = (await desk.refresh(first["refresh_token"])).json()
    form = {"token": second["refresh_token"], "token_type_hint": "access_token", "client_id": "public"}
    assert (await desk.post("/auth/revoke", form)).status_code == 200
    for answer in (first, second):
        assert desk.is_over(await desk.verify(answer["access_token"]))
        said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")
    assert (await desk.post("/auth/revoke", form)).status_code == 200


async def test_a_service_gives_back_its_token(desk: Desk) -> None:
    text = (await desk.service()).json()["access_token"]
    token = await desk.verify(text)
    proof = desk.asserting("service", f"{PUBLIC}/auth/revoke")
    assert (await desk.post("/auth/revoke", {"token": text, **proof})).status_code == 200
    assert desk.is_over(token)


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "x" * 43])
async def test_what_is_unknown_is_no_error(desk: Desk, token: str) -> None:
    response = await desk.post("/auth/revoke", {"token": token, "client_id": "public"})
    assert response.status_code == 200
    assert desk.recorded == []


async def test_what_is_expired_is_no_error(desk: Desk) -> None:
    answer = await desk.granted()
    desk.ahead_s = 3601
    form = {"token": answer["access_token"], "client_id": "public"}
    assert (await desk.post("/auth/revoke", form)).status_code == 200
    assert desk.recorded == ["token.issue"]


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_another_clients_token_stays(desk: Desk, kind: str) -> None:
    answer = await desk.granted()
    form = {"token": answer[kind], "client_id": "other"}
    said(await desk.post("/auth/revoke", form), 400, "invalid_grant")
    assert not desk.is_over(await desk.verify(answer["access_token"]))
    assert (await desk.refresh(answer["refresh_token"])).status_code == 200


async def test_who_does_not_prove_who_they_are_ends_nothing(desk: Desk) -> None:
    form = {"token": "any"}
    said(await desk.post("/auth/revoke", {**form, "client_id": "symmetric"}), 400, "invalid_client")
    said(await desk.post("/auth/revoke", form), 401, "invalid_client")
    wrong = basic("symmetric", SECRET[:-1] + "t")
    said(await desk.post("/auth/revoke", form, Authorization=wrong), 401, "invalid_client")
    said(await desk.post("/auth/revoke", {"client_id": "public"}), 400, "invalid_request")


async def test_without_the_ledger_a_token_is_not_said_to_be_over(desk: Desk) -> None:
    answer = await desk.granted()
    desk.failing.append(LedgerUnavailable())
    form = {"token": answer["access_token"], "client_id": "public"}
    said(await desk.post("/auth/revoke", form), 503, "temporarily_unavailable")
    desk.failing.clear()
    assert (await desk.post("/auth/revoke", form)).status_code == 200
    assert desk.is_over(await desk.verify(answer["access_token"]))
