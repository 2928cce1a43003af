"""The token endpoint: who gets a token for what, and every way not to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.canon import b64url, sha256, unb64url
from gateway.errors import LedgerUnavailable
from tests.auth.desk import APP_SCOPE, CONTEXT, LAB, ORIGIN, VERIFIER, Desk, basic, open_desk
from tests.support.house import BASE, PUBLIC


def said(response: httpx.Response, status: int, error: str) -> None:
    """The answer is a proper OAuth error (RFC 6749 section 5.2)."""
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    assert response.json().keys() <= {"error", "error_description"}
    not_kept(response)


def not_kept(response: httpx.Response) -> None:
    assert "no-store" in response.headers["cache-control"]
    assert "no-cache" in response.headers["pragma"]
    assert response.headers["content-type"].startswith("application/json")


# --- Services --------------------------------------------------------------------------------------


async def test_a_service_gets_a_short_token_bound_by_look_up(desk: Desk) -> None:
    response = await desk.service(scope="system/*.read system/Patient.rs")
    answer = response.json()
    assert response.status_code == 200, answer
    not_kept(response)
    token = await desk.verify(answer.pop("access_token"))
    assert answer == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "system/*.read system/Patient.rs",
    }
    assert (token.client, token.subject, token.consents, token.purposes) == (
        "service",
        "service",
        None,
        ("TREAT",),
    )
    assert token.expires_at_s - token.issued_at_s == 300
    [entry] = desk.entries("token.issue")
    assert token.issued == (entry.index, b64url(entry.leaf_hash))
    assert {**entry.facts} | {"ms": 0, "rid": "", "pol": ""} == {
        "act": "service",
        "cli": "service",
        "con": None,
        "exp": token.expires_at_s,
        "jti": b64url(sha256(token.jti.encode())),
        "ms": 0,
        "pol": "",
        "rid": "",
        "scp": ["system/*.read", "system/Patient.rs"],
    }


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "not_a_grant_type"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "authorization_code"}, 400, "unauthorized_client"),
        ({"grant_type": "refresh_token"}, 400, "unauthorized_client"),
        ({"client_assertion_type": "not_an_assertion_type"}, 400, "invalid_client"),
        ({"client_assertion": "not.a.jwt"}, 400, "invalid_client"),
        ({"client_assertion": None}, 400, "invalid_client"),
        ({"scope": None}, 400, "invalid_request"),
        ({"scope": "system/Nothing.rs"}, 400, "invalid_scope"),
        ({"scope": "system/*.cruds patient/*.rs"}, 400, "invalid_scope"),
        ({"scope": "system/*.rs openid"}, 400, "invalid_scope"),
        ({"aud": f"{PUBLIC}/other"}, 400, "invalid_request"),
        ({"aud": BASE, "resource": LAB}, 400, "invalid_request"),
        ({"purpose_of_use": "treat"}, 400, "invalid_request"),
        ({"purpose_of_use": "TREAT BTG"}, 400, "invalid_request"),
    ],
)
async def test_a_service_is_refused(desk: Desk, form: dict[str, Any], status: int, error: str) -> None:
    said(await desk.service(**form), status, error)
    assert desk.recorded == []


@pytest.mark.parametrize("claims", [{"iss": "not_a_valid_iss"}, {"aud": BASE}, {"exp": 1}], ids=str)
async def test_a_bad_assertion_is_refused(desk: Desk, claims: dict[str, object]) -> None:
    said(await desk.service(**desk.asserting("service", **claims)), 400, "invalid_client")


async def test_an_assertion_is_good_once(desk: Desk) -> None:
    assertion = desk.asserting("service")
    assert (await desk.service(**assertion)).status_code == 200
    said(await desk.service(**assertion), 400, "invalid_client")


async def test_a_service_says_what_for(desk: Desk) -> None:
    response = await desk.service(purpose_of_use="HPAYMT COVAUTH", aud=f"{BASE}/", resource=BASE)
    token = await desk.verify(response.json()["access_token"])
    assert token.purposes == ("HPAYMT", "COVAUTH")


async def test_of_several_bases_one_is_named(tmp_path: Path) -> None:
    async with open_desk(tmp_path, (BASE, LAB)) as desk:
        said(await desk.service(), 400, "invalid_request")
        token = (await desk.service(aud=LAB)).json()["access_token"]
        assert (await desk.verify(token, LAB)).client == "service"
        with pytest.raises(Exception, match="aud"):
            await desk.verify(token, BASE)


async def test_without_the_ledger_nothing_is_issued(desk: Desk) -> None:
    desk.failing.append(LedgerUnavailable())
    said(await desk.service(), 503, "temporarily_unavailable")


# --- Codes -----------------------------------------------------------------------------------------


async def test_a_code_becomes_tokens_with_their_launch_context(desk: Desk) -> None:
    consent = await desk.permit()
    await desk.may_act("pat-a")
    who: dict[str, Any] = {"user": "Practitioner/prac-1", "role": "physician", "organization": "org-1"}
    code = await desk.approve(consent=consent.id, **who)
    response = await desk.exchange(code)
    answer = response.json()
    assert response.status_code == 200, answer
    not_kept(response)
    token = await desk.verify(answer.pop("access_token"))
    claims = claims_of(answer.pop("id_token"))
    assert len(answer.pop("refresh_token")) == 43
    assert answer == {
        **CONTEXT,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": APP_SCOPE,
        "patient": "pat-a",
    }
    assert (token.patient, token.encounter, str(token.fhir_user)) == ("pat-a", "enc-1", "Practitioner/prac-1")
    assert (token.subject, token.role, str(token.organization)) == (
        "person-1",
        "proxy",
        "Organization/org-1",
    )
    assert token.consents == (consent,)
    assert (claims["iss"], claims["sub"], claims["aud"]) == (PUBLIC, "person-1", "public")
    [entry] = desk.entries("token.issue")
    assert (entry.facts["pat"], entry.facts["con"]) == ("Patient/pat-a", [consent.entry, consent.hash])


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": ""}, 400, "invalid_request"),
        ({"code_verifier": "w" * 64}, 400, "invalid_grant"),
        ({"code_verifier": b64url(sha256(VERIFIER.encode()))}, 400, "invalid_grant"),
        ({"code": "BAD_CODE"}, 400, "invalid_grant"),
        ({"code": None}, 400, "invalid_request"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"redirect_uri": "https://app.example/other"}, 400, "invalid_grant"),
        ({"redirect_uri": "https://app.example/cb/"}, 400, "invalid_grant"),
        ({"client_id": "other"}, 400, "invalid_grant"),
        ({"client_id": "BAD_CLIENT_ID"}, 400, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_id": "symmetric"}, 400, "invalid_client"),
        ({"resource": LAB}, 400, "invalid_grant"),
    ],
)
async def test_an_exchange_that_is_refused_uses_nothing_up(
    desk: Desk, form: dict[str, str | None], status: int, error: str
) -> None:
    code = await desk.approve()
    said(await desk.exchange(code, **form), status, error)
    assert desk.recorded == []
    assert (await desk.exchange(code)).status_code == 200


async def test_a_code_is_over_after_its_minute(desk: Desk) -> None:
    code = await desk.approve()
    desk.ahead_s = 61
    said(await desk.exchange(code), 400, "invalid_grant")


@pytest.mark.parametrize("verifier", [None, "", "w" * 64, b64url(sha256(VERIFIER.encode()))])
async def test_clients_with_a_secret_use_pkce_too(desk: Desk, verifier: str | None) -> None:
    code = await desk.approve("symmetric")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.example/cb"}
    by_secret = {"Authorization": basic("symmetric")}
    refused = await desk.post("/auth/token", {**form, "code_verifier": verifier}, **by_secret)
    assert refused.status_code == 400
    given = await desk.post("/auth/token", {**form, "code_verifier": VERIFIER}, **by_secret)
    assert given.status_code == 200, given.text


async def test_a_client_with_a_key_exchanges_by_assertion(desk: Desk) -> None:
    code = await desk.approve("asymmetric")
    response = await desk.exchange(code, client_id=None, **desk.asserting("asymmetric"))
    assert response.status_code == 200, response.text


async def test_an_unknown_client_by_basic_is_challenged(desk: Desk) -> None:
    response = await desk.exchange("any", client_id=None, **{"client_secret": None})
    said(response, 401, "invalid_client")
    form = {"grant_type": "authorization_code", "code": "any"}
    response = await desk.post("/auth/token", form, Authorization=basic("BAD_CLIENT_ID"))
    said(response, 401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic ")


async def test_a_code_that_comes_back_ends_all_that_it_became(desk: Desk) -> None:
    code = await desk.approve()
    first = (await desk.exchange(code)).json()
    second = (await desk.refresh(first["refresh_token"])).json()
    said(await desk.exchange(code), 400, "invalid_grant")
    for answer in (first, second):
        assert desk.is_over(await desk.verify(answer["access_token"]))
    said(await desk.refresh(second["refresh_token"]), 400, "invalid_grant")
    ended = desk.entries("token.revoke")
    assert [entry.facts["rsn"] for entry in ended] == ["replay", "replay"]
    assert {tuple(entry.facts) for entry in ended} == {("act", "cli", "ms", "pol", "rid", "rsn", "tok")}


async def test_a_code_that_another_client_shows_ends_nothing(desk: Desk) -> None:
    code = await desk.approve()
    answer = (await desk.exchange(code)).json()
    said(await desk.exchange(code, client_id="other"), 400, "invalid_grant")
    assert not desk.is_over(await desk.verify(answer["access_token"]))


async def test_of_two_exchanges_at_once_one_succeeds(desk: Desk) -> None:
    for _ in range(5):
        code = await desk.approve()
        answers = await asyncio.gather(desk.exchange(code), desk.exchange(code))
        assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_a_code_is_given_back_if_the_ledger_is_away(desk: Desk) -> None:
    code = await desk.approve()
    desk.failing.append(LedgerUnavailable())
    said(await desk.exchange(code), 503, "temporarily_unavailable")
    desk.failing.clear()
    assert (await desk.exchange(code)).status_code == 200
    said(await desk.exchange(code), 400, "invalid_grant")


async def test_a_consent_that_was_withdrawn_before_the_exchange_ends_the_grant(desk: Desk) -> None:
    consent = await desk.permit()
    code = await desk.approve(consent=consent.id)
    await desk.withdraw(consent.id)
    said(await desk.exchange(code), 400, "invalid_grant")
    assert desk.recorded == []


@pytest.mark.parametrize(
    ("user", "consents"), [("Patient/pat-a", ()), ("Practitioner/prac-1", None), ("RelatedPerson/r-1", None)]
)
async def test_what_a_token_without_a_consent_rests_on(
    desk: Desk, user: str, consents: tuple[()] | None
) -> None:
    await desk.may_act("pat-a")
    answer = await desk.granted(user=user)
    assert (await desk.verify(answer["access_token"])).consents == consents


async def test_no_more_than_what_was_asked_for_is_in_the_answer(desk: Desk) -> None:
    answer = await desk.granted(scope="patient/*.rs", context="{}")
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope", "patient"}


async def test_a_client_without_refresh_gets_none(desk: Desk) -> None:
    response = await desk.exchange(await desk.approve("once"), client_id="once")
    assert "refresh_token" not in response.json()
    assert "offline_access" not in response.json()["scope"]


async def test_a_token_ends_with_its_grant(desk: Desk) -> None:
    answer = await desk.granted(until_s=desk.now_s + 100)
    assert 95 <= answer["expires_in"] <= 100


# --- The outside -----------------------------------------------------------------------------------


async def test_pages_of_public_clients_may_use_it(desk: Desk) -> None:
    for code, status in ((await desk.approve(), 200), ("BAD_CODE", 400)):
        form = {"grant_type": "authorization_code", "code": code, "client_id": "public"}
        more = {"redirect_uri": "https://app.example/cb", "code_verifier": VERIFIER}
        response = await desk.post("/auth/token", {**form, **more}, Origin=ORIGIN)
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in response.headers


async def test_other_pages_may_not(desk: Desk) -> None:
    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example"):
        response = await desk.post("/auth/token", {"grant_type": "x"}, Origin=origin)
        assert "access-control-allow-origin" not in response.headers


async def test_the_preflight_of_a_page(desk: Desk) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    response = await desk.http.options("/auth/token", headers=headers)
    assert (response.status_code, response.text) == (204, "")
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "POST"
    assert response.headers["access-control-allow-headers"] == "Authorization, Content-Type, DPoP"
    refused = await desk.http.options("/auth/token", headers={**headers, "Origin": "https://evil.example"})
    assert not any(name.startswith("access-control-") for name in refused.headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_are_not_answered(desk: Desk, method: str) -> None:
    response = await desk.http.request(method, "/auth/token")
    assert (response.status_code, response.headers["allow"]) == (405, "POST, OPTIONS")
    not_kept(response)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "application/json")],
        [("Content-Type", "application/x-www-form-urlencoded; boundary=x")],
        [("Content-Type", "application/x-www-form-urlencoded; charset=utf-16")],
        [("Content-Type", "application/x-www-form-urlencoded")] * 2,
        [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Encoding", "gzip")],
        [],
    ],
    ids=str,
)
async def test_only_a_plain_form_is_read(desk: Desk, headers: list[tuple[str, str]]) -> None:
    said(
        await desk.http.post("/auth/token", content=b"grant_type=x", headers=headers), 400, "invalid_request"
    )


async def test_what_a_form_may_look_like(desk: Desk) -> None:
    typed = {"Content-Type": 'Application/X-WWW-Form-URLencoded ; charset="UTF-8"'}
    response = await desk.http.post("/auth/token", content=b"grant_type=x", headers=typed)
    said(response, 400, "unsupported_grant_type")
    response = await desk.http.post("/auth/token?grant_type=x", content=b"grant_type=x", headers=typed)
    said(response, 400, "invalid_request")
    response = await desk.http.post("/auth/token", content=b"grant_type=x&grant_type=x", headers=typed)
    said(response, 400, "invalid_request")
    response = await desk.http.post("/auth/token", content=b"a=" + b"x" * 70_000, headers=typed)
    said(response, 413, "invalid_request")


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64url(token.split(".")[1]))
    return claims
