"""Passkeys as a browser sees them: registered, used, removed, and every answer that is not accepted."""

from __future__ import annotations

import asyncio
import html
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyotp import TOTP

from gateway.auth.pages import Pages
from gateway.auth.passkeys.challenge import LASTS_S
from gateway.auth.passkeys.pages import FRESH_S
from gateway.auth.people.factors import Caller
from gateway.auth.people.login import NO_PASSKEYS
from gateway.auth.people.login_page import Elsewhere, Ways
from gateway.auth.people.registry import Profile
from gateway.auth.people.waiting import Waiting
from gateway.auth.store import passkeys, sessions
from gateway.auth.store.people import Account
from tests.auth.passkeys.authenticator import AT, SOUND, UP, UV, Authenticator
from tests.auth.site import PASSWORD, Site, Visitor, alert_of, make_site, read_page
from tests.tokens.forge import b64

PASSKEYS, LOG_IN = "/auth/passkeys", "/auth/login/passkey"
NOT_SOUND = "This passkey was not accepted. Try again, or log in another way."


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = make_site(tmp_path, passkeys=True)
    await made.add()
    yield made
    made.database.close()


def options_of(page: httpx.Response) -> dict[str, Any]:
    found = re.search(r"data-options='([^']*)'", page.text)
    assert found is not None, page.text
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


async def post(visitor: Visitor, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
    form = {"csrf": read_page(page.text).fields["csrf"], **fields}
    return await visitor.client.post(path, data=form)


async def register(visitor: Visitor, key: Authenticator, name: str = "Phone", **how: Any) -> httpx.Response:
    page = await visitor.client.get(PASSKEYS)
    answer = key.register(options_of(page), **how)
    return await post(visitor, page, PASSKEYS, step="add", name=name, credential=answer)


async def log_in(visitor: Visitor, key: Authenticator, next_id: str = "", **how: Any) -> httpx.Response:
    page = await visitor.client.get(LOG_IN, params={"next": next_id} if next_id else {})
    answer = key.log_in(options_of(page), **how)
    more = {"next": next_id} if next_id else {}
    return await post(visitor, page, LOG_IN, credential=answer, **more)


async def with_passkey(site: Site, **how: Any) -> Authenticator:
    """Anna's, who has none before."""
    key = Authenticator(**how)
    async with site.visitor() as anna:
        await anna.password()
        assert (await register(anna, key)).status_code == 303
    return key


async def count_of(site: Site) -> int:
    [(account, _)] = await site.people.accounts()
    return len(await site.database.run(lambda db: passkeys.passkeys_of(db, account.id)))


# --- One more --------------------------------------------------------------------------------------


async def test_a_passkey_is_registered_and_shown(site: Site) -> None:
    async with site.visitor() as anna:
        await anna.password()
        done = await register(anna, Authenticator(), "Anna's <b>phone</b>")
        assert (done.status_code, done.headers["location"]) == (303, PASSKEYS)
        page = await anna.client.get(PASSKEYS)
        assert "Anna&#39;s &lt;b&gt;phone&lt;/b&gt;" in page.text
        assert "never" in page.text


async def test_what_a_browser_is_asked_for_a_new_one(site: Site) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna:
        await log_in(anna, key)
        asked = options_of(await anna.client.get(PASSKEYS))
    assert len(_raw(asked.pop("challenge"))) == 56
    user = asked.pop("user")
    assert (user["name"], user["displayName"]) == ("anna", "Anna Ek")
    assert asked == {
        "rp": {"id": "gw.example", "name": "Consentry"},
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-7, -8, -257)],
        "timeout": 120_000,
        "excludeCredentials": [{"type": "public-key", "id": b64(key.id)}],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


@pytest.mark.parametrize(
    "how",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://gw.example.evil.example"},
        {"origin": "https://sub.gw.example"},
        {"origin": "http://gw.example"},
        {"origin": "https://gw.example:8443"},
        {"origin": None},
        {"type": "webauthn.get"},
        {"challenge": "AAAA"},
        {"challenge": b64(bytes(56))},
        {"crossOrigin": True},
        {"crossOrigin": "false"},
        {"topOrigin": "https://evil.example"},
        {"flags": UV | AT},
        {"flags": UP | AT},
        {"flags": SOUND},
        {"alg": -65535},
        {"alg": -35},
        {"raw_id": b"another"},
    ],
    ids=repr,
)
async def test_an_answer_that_is_not_sound_registers_nothing(site: Site, how: dict[str, Any]) -> None:
    async with site.visitor() as anna:
        await anna.password()
        no = await register(anna, Authenticator(), **how)
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)
    assert await count_of(site) == 0


async def test_a_key_for_another_host_registers_nothing(site: Site) -> None:
    async with site.visitor() as anna:
        await anna.password()
        assert (await register(anna, Authenticator(host="evil.example"))).status_code == 422
    assert await count_of(site) == 0


@pytest.mark.parametrize(
    "answer",
    ["", "null", "[]", "{}", '{"response":1}', '{"response":{"clientDataJSON":"e30"}}', "x" * 50_000],
    ids=["empty", "null", "list", "object", "number", "client data", "long"],
)
async def test_an_answer_that_is_none_registers_nothing(site: Site, answer: str) -> None:
    async with site.visitor() as anna:
        await anna.password()
        page = await anna.client.get(PASSKEYS)
        no = await post(anna, page, PASSKEYS, step="add", name="x", credential=answer)
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)


async def test_a_challenge_is_answered_once(site: Site) -> None:
    async with site.visitor() as anna:
        await anna.password()
        page = await anna.client.get(PASSKEYS)
        for key, status in ((Authenticator(), 303), (Authenticator(), 422)):
            answer = key.register(options_of(page))
            done = await post(anna, page, PASSKEYS, step="add", name="x", credential=answer)
            assert done.status_code == status
    assert await count_of(site) == 1


async def test_a_challenge_of_a_log_in_is_for_no_registration(site: Site) -> None:
    async with site.visitor() as anna:
        await anna.password()
        page = await anna.client.get(PASSKEYS)
        other = options_of(await anna.client.get(LOG_IN))["challenge"]
        answer = Authenticator().register({**options_of(page), "challenge": other})
        assert (await post(anna, page, PASSKEYS, step="add", name="x", credential=answer)).status_code == 422


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\nb", "\u202eb"])
async def test_a_passkey_has_a_name_that_can_be_shown(site: Site, name: str) -> None:
    async with site.visitor() as anna:
        await anna.password()
        no = await register(anna, Authenticator(), name)
        assert "Give the passkey a name" in alert_of(no)
    assert await count_of(site) == 0


async def test_a_passkey_is_registered_once_and_for_one_person(site: Site) -> None:
    key = await with_passkey(site)
    await site.add("bo", name="Bo")
    async with site.visitor() as bo:
        await bo.password("bo")
        no = await register(bo, key)
        assert "You have this passkey already" in alert_of(no)


async def test_passkeys_are_not_without_number(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passkeys, "MOST", 1)
    key = await with_passkey(site)
    async with site.visitor() as anna:
        await log_in(anna, key)
        assert (await register(anna, Authenticator())).status_code == 422
    assert await count_of(site) == 1


@pytest.mark.parametrize(("after_s", "fresh"), [(FRESH_S, True), (FRESH_S + 1, False)])
async def test_who_changes_them_has_just_logged_in(site: Site, after_s: int, fresh: bool) -> None:
    async with site.visitor() as anna:
        await anna.password()
        page = await anna.client.get(PASSKEYS)
        site.now_s += after_s
        again = await anna.client.get(PASSKEYS)
        assert (again.status_code == 200) is fresh
        form = {"step": "remove", "passkey": "AAAA"}
        done = await post(anna, page, PASSKEYS, **form)
        wanted = PASSKEYS if fresh else "/auth/login?next=passkeys"
        assert done.headers["location"] == wanted
        if not fresh:
            assert again.headers["location"] == wanted
            form_page = await anna.page("passkeys")
            assert 'name="password"' in form_page.text
            on = await anna.submit(form_page, "password", login="anna", password=PASSWORD)
            assert on.headers["location"] == PASSKEYS


async def test_who_is_not_logged_in_sees_none(site: Site) -> None:
    async with site.visitor() as somebody:
        no = await somebody.client.get(PASSKEYS)
        assert (no.status_code, no.headers["location"]) == (303, "/auth/login?next=passkeys")


async def test_who_has_no_password_has_no_passkey(site: Site) -> None:
    """They log in at a provider, which a passkey would get them past."""
    await site.people.add(Profile("cleo", "Cleo"), None, site.now_s)
    async with site.visitor() as cleo:
        account, _ = await site.people.account("cleo")
        entered = await site.factors.by_another(
            lambda db: db.get(Account, account.id), sessions.PROVIDER, Caller(), site.now_s
        )
        assert entered is not None
        cleo.client.cookies.set("__Host-consentry", entered.secret, domain="gw.example")
        no = await register(cleo, Authenticator())
        assert "another provider" in alert_of(no)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"step": "add"},
        {"step": "add", "name": "x", "credential": "{}", "more": "1"},
        {"step": "remove"},
        {"step": "remove", "passkey": "not base64url!"},
        {"step": "unheard-of"},
    ],
    ids=repr,
)
async def test_a_form_that_is_not_ours_does_nothing(site: Site, form: dict[str, str]) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna:
        await log_in(anna, key)
        page = await anna.client.get(PASSKEYS)
        assert (await post(anna, page, PASSKEYS, **form)).status_code == 422
        assert (await anna.client.post(PASSKEYS, data={"csrf": "", **form})).status_code == 403
    assert await count_of(site) == 1


# --- The log-in ------------------------------------------------------------------------------------


async def test_in_by_passkey_which_is_two_factors(site: Site) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna:
        page = await anna.client.get(LOG_IN)
        asked = options_of(page)
        assert asked.pop("challenge")
        assert asked == {"rpId": "gw.example", "timeout": 120_000, "userVerification": "required"}
        done = await log_in(anna, key)
        assert (done.status_code, done.headers["location"]) == (303, "/auth/login")
        assert await anna.who() == ["anna", True]


async def test_it_leads_on_to_what_waits(site: Site) -> None:
    key = await with_passkey(site)
    site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with site.visitor() as anna:
        done = await log_in(anna, key, "req-1")
        assert done.headers["location"] == "/auth/approve?id=req-1"
        assert (await anna.client.get(LOG_IN, params={"next": "none"})).status_code == 400


@pytest.mark.parametrize(
    "how",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://sub.gw.example"},
        {"origin": "http://gw.example"},
        {"type": "webauthn.create"},
        {"challenge": b64(bytes(56))},
        {"crossOrigin": True},
        {"topOrigin": "https://evil.example"},
        {"flags": UP},
        {"flags": UV},
        {"spoil": True},
        {"user": None},
        {"user": b64(b"somebody else")},
        {"raw_id": b"unknown"},
    ],
    ids=repr,
)
async def test_an_answer_that_is_not_sound_lets_nobody_in(site: Site, how: dict[str, Any]) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna:
        no = await log_in(anna, key, **how)
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)
        assert await anna.who() is None
        await log_in(anna, key)
        assert await anna.who() == ["anna", True]


async def test_another_s_key_under_this_id_lets_nobody_in(site: Site) -> None:
    key = await with_passkey(site)
    forged = Authenticator(id=key.id, user=key.user, count=100)
    async with site.visitor() as thief:
        assert (await log_in(thief, forged)).status_code == 422
        assert await thief.who() is None


async def test_an_answer_counts_once(site: Site) -> None:
    key = await with_passkey(site, counts=False)
    async with site.visitor() as anna:
        page = await anna.client.get(LOG_IN)
        answer = key.log_in(options_of(page))
        both = await asyncio.gather(*(post(anna, page, LOG_IN, credential=answer) for _ in range(2)))
        assert sorted(each.status_code for each in both) == [303, 422]


async def test_an_answer_of_another_browser_does_not_count(site: Site) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna, site.visitor() as thief:
        answer = key.log_in(options_of(await anna.client.get(LOG_IN)))
        page = await thief.client.get(LOG_IN)
        assert (await post(thief, page, LOG_IN, credential=answer)).status_code == 422
        assert await thief.who() is None


@pytest.mark.parametrize(("after_s", "counts"), [(LASTS_S - 1, True), (LASTS_S, False)])
async def test_a_challenge_has_its_time(site: Site, after_s: int, counts: bool) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna:
        page = await anna.client.get(LOG_IN)
        answer = key.log_in(options_of(page))
        site.now_s += after_s
        assert (await post(anna, page, LOG_IN, credential=answer)).status_code == (303 if counts else 422)


@pytest.mark.parametrize(
    ("kept", "shown", "counts"),
    [(5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False), (0, 0, True), (0, 1, True)],
)
async def test_a_counter_that_does_not_go_on_is_a_copy_s(
    site: Site, kept: int, shown: int, counts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    key = await with_passkey(site, count=kept, counts=False)
    key.count = shown
    async with site.visitor() as anna:
        assert (await log_in(anna, key)).status_code == (303 if counts else 422)
        assert (await anna.who() is not None) is counts
    assert ("went back" in caplog.text) is not counts


async def test_a_disabled_person_stays_out(site: Site) -> None:
    key = await with_passkey(site)
    await site.people.set_disabled("anna", True, site.now_s)
    async with site.visitor() as anna:
        no = await log_in(anna, key)
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)


# --- With a password -------------------------------------------------------------------------------


async def test_who_has_a_passkey_needs_it_after_the_password(site: Site) -> None:
    key = await with_passkey(site)
    site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with site.visitor() as anna:
        await anna.password(next_id="req-1")
        assert await anna.who() is None
        on = await anna.page("req-1")
        assert (on.status_code, on.headers["location"]) == (303, f"{LOG_IN}?next=req-1")
        done = await log_in(anna, key, "req-1")
        assert done.headers["location"] == "/auth/approve?id=req-1"
        assert await anna.who() == ["anna", True]


async def test_who_has_codes_too_may_take_either(site: Site) -> None:
    key = await with_passkey(site)
    codes = TOTP(await site.people.new_second_factor("anna", site.now_s))
    async with site.visitor() as anna, site.visitor() as also_anna:
        await anna.password()
        page = await anna.page()
        assert 'name="code"' in page.text
        assert f'href="{LOG_IN}"' in page.text
        await anna.code(codes.at(site.now_s))
        assert await anna.who() == ["anna", True]
        await also_anna.password()
        await log_in(also_anna, key)
        assert await also_anna.who() == ["anna", True]


async def test_where_passkeys_are_not_offered_any_more_who_has_one_is_told(site: Site) -> None:
    await with_passkey(site)
    site.passkeys, site.pages = False, Pages()
    async with site.visitor() as anna:
        await anna.password()
        no = await anna.page()
        assert (no.status_code, alert_of(no)) == (422, NO_PASSKEYS)
        assert await anna.who() is None


# --- One less --------------------------------------------------------------------------------------


async def test_a_passkey_that_was_removed_lets_nobody_in_and_ends_other_sessions(site: Site) -> None:
    key = await with_passkey(site)
    async with site.visitor() as anna, site.visitor() as elsewhere:
        await log_in(elsewhere, key)
        await log_in(anna, key)
        page = await anna.client.get(PASSKEYS)
        done = await post(anna, page, PASSKEYS, step="remove", passkey=b64(key.id))
        assert done.headers["location"] == PASSKEYS
        assert await anna.who() == ["anna", True]
        assert await elsewhere.who() is None
        assert (await log_in(elsewhere, key)).status_code == 422
        assert await elsewhere.who() is None
        await elsewhere.password()
        assert await elsewhere.who() == ["anna", False]


async def test_nobody_removes_another_s(site: Site) -> None:
    key = await with_passkey(site)
    await site.add("bo", name="Bo")
    async with site.visitor() as bo:
        await bo.password("bo")
        page = await bo.client.get(PASSKEYS)
        assert (await post(bo, page, PASSKEYS, step="remove", passkey=b64(key.id))).status_code == 303
    async with site.visitor() as anna:
        assert (await log_in(anna, key)).status_code == 303


# --- The pages -------------------------------------------------------------------------------------


async def test_scripts_run_on_these_pages_alone(site: Site) -> None:
    async with site.visitor() as anna:
        plain = [await anna.page()]
        scripted = [await anna.client.get(LOG_IN)]
        await anna.password()
        plain.append(await anna.page())
        scripted.append(await anna.client.get(PASSKEYS))
        for page in plain:
            assert "script" not in page.headers["content-security-policy"]
            assert "<script" not in page.text
        for page in scripted:
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; ")
            assert [part for part in policy.split("; ") if part.startswith("script")] == ["script-src 'self'"]
            [address] = re.findall(r'<script src="([^"]+)" defer></script>', page.text)
            script = await anna.client.get(address)
            assert script.headers["content-type"].startswith("text/javascript")
            assert "immutable" in script.headers["cache-control"]


async def test_the_pages_lead_to_passkeys_where_there_are_any(site: Site, tmp_path: Path) -> None:
    async with site.visitor() as anna:
        assert f'href="{LOG_IN}">Log in with a passkey<' in (await anna.page()).text
        await anna.password()
        assert f'href="{PASSKEYS}"' in (await anna.page()).text
    (tmp_path / "without").mkdir()
    without = make_site(tmp_path / "without")
    async with without.visitor() as anna:
        assert "passkey" not in (await anna.page()).text
        for path in (LOG_IN, PASSKEYS):
            assert (await anna.client.get(path)).status_code == 404
    without.database.close()


async def test_where_nobody_logs_in_here_no_passkey_is_offered(site: Site) -> None:
    site.ways = Ways(local=False, providers=(Elsewhere("hospital", "St Example"),))
    async with site.visitor() as anna:
        assert "passkey" not in (await anna.client.get("/auth/login?again=1")).text


def _raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
