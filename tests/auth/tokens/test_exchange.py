"""Refreshing: rotation, the moment of grace, and what ends a grant (assertions of SMART App Launch 2.2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from gateway.auth.store.grants import GRACE_S
from gateway.auth.store.people import Account, Authority
from gateway.auth.store.sessions import BrowserSession, end_session
from gateway.auth.tokens.exchange import REFRESH_S
from gateway.consents.draft import Draft
from gateway.errors import LedgerUnavailable
from tests.auth.desk import APP_SCOPE, CLIENTS, CONTEXT, REDIRECT, VERIFIER, Desk, basic, open_desk
from tests.auth.tokens.test_token import not_kept, said
from tests.support.house import BASE

DAY_S = 86_400


async def refreshed(desk: Desk, token: str, **form: str | None) -> dict[str, Any]:
    response = await desk.refresh(token, **form)
    assert response.status_code == 200, response.text
    not_kept(response)
    answer: dict[str, Any] = response.json()
    return answer


async def test_each_refresh_gives_the_next_token_and_the_same_context(desk: Desk) -> None:
    consent = await desk.permit()
    first = await desk.granted(consent=consent.id)
    second = await refreshed(desk, first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert "id_token" not in second
    changing = {"access_token", "refresh_token", "id_token"}
    assert {n: v for n, v in second.items() if n not in changing} == {
        **CONTEXT,
        "patient": "pat-a",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": APP_SCOPE,
    }
    assert (await desk.verify(second["access_token"])).consents == (consent,)
    assert not desk.is_over(await desk.verify(first["access_token"]))


async def test_scopes_are_those_of_the_grant_in_the_same_spelling(desk: Desk) -> None:
    answer = await desk.granted()
    same = await refreshed(desk, answer["refresh_token"], scope=APP_SCOPE)
    assert same["scope"] == APP_SCOPE
    fewer = await refreshed(desk, same["refresh_token"], scope="patient/*.read")
    assert fewer["scope"] == "patient/*.read"
    assert (await desk.verify(fewer["access_token"])).context == ()
    whole = await refreshed(desk, fewer["refresh_token"])
    assert whole["scope"] == APP_SCOPE


@pytest.mark.parametrize("scope", ["patient/*.cruds", "user/*.rs", "openid online_access"])
async def test_more_than_the_grant_is_refused_and_uses_nothing_up(desk: Desk, scope: str) -> None:
    answer = await desk.granted()
    said(await desk.refresh(answer["refresh_token"], scope=scope), 400, "invalid_scope")
    desk.ahead_s = GRACE_S + 1
    await refreshed(desk, answer["refresh_token"])


@pytest.mark.parametrize("token", ["2f9d6f0e-1c4e-4f0a-9d57-6bb6ad0e9a01", "x", "a" * 8000])
async def test_an_unknown_refresh_token_is_refused(desk: Desk, token: str) -> None:
    said(await desk.refresh(token), 400, "invalid_grant")


async def test_a_refresh_token_is_one_clients(desk: Desk) -> None:
    answer = await desk.granted()
    said(await desk.refresh(answer["refresh_token"], client_id="other"), 400, "invalid_grant")
    form = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    by_secret = await desk.post("/auth/token", form, Authorization=basic("symmetric"))
    said(by_secret, 400, "invalid_grant")
    said(await desk.refresh(answer["refresh_token"], client_id="once"), 400, "unauthorized_client")
    await refreshed(desk, answer["refresh_token"])


async def test_a_public_clients_refresh_need_not_name_it(desk: Desk) -> None:
    """As SMART's own client for browsers sends it."""
    answer = await desk.granted()
    await refreshed(desk, answer["refresh_token"], client_id=None)
    said(await desk.refresh("unknown", client_id=None), 400, "invalid_grant")


async def test_a_client_with_a_secret_authenticates_to_refresh(desk: Desk) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": await desk.approve("symmetric"),
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    answer = (await desk.post("/auth/token", form, Authorization=basic("symmetric"))).json()
    for named in (None, "symmetric"):
        said(await desk.refresh(answer["refresh_token"], client_id=named), 400, "invalid_client")


async def test_a_client_that_lost_its_offline_access_refreshes_no_more(desk: Desk) -> None:
    answer = await desk.granted()
    client = CLIENTS["public"]
    less = tuple(scope for scope in client.scopes if scope != "offline_access")
    await desk.clients.replace(replace(client, scopes=less))
    last = await refreshed(desk, answer["refresh_token"])
    assert "refresh_token" not in last
    assert "offline_access" not in last["scope"]


async def test_an_answer_that_was_lost_is_given_again_for_a_moment(desk: Desk) -> None:
    answer = await desk.granted()
    lost = await refreshed(desk, answer["refresh_token"])
    desk.ahead_s = GRACE_S - 1
    again = await refreshed(desk, answer["refresh_token"])
    assert again["refresh_token"] != lost["refresh_token"]
    for successor in (lost, again):
        await refreshed(desk, successor["refresh_token"])


async def test_one_that_comes_back_later_ends_the_whole_family(desk: Desk) -> None:
    first = await desk.granted()
    second = await refreshed(desk, first["refresh_token"])
    third = await refreshed(desk, second["refresh_token"])
    desk.ahead_s = GRACE_S + 1
    said(await desk.refresh(first["refresh_token"]), 400, "invalid_grant")
    for answer in (first, second, third):
        assert desk.is_over(await desk.verify(answer["access_token"]))
        said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")
    assert len(desk.entries("token.revoke")) == 3


async def test_two_refreshes_at_once_both_have_their_answer(desk: Desk) -> None:
    answer = await desk.granted()
    both = await asyncio.gather(*(desk.refresh(answer["refresh_token"]) for _ in range(2)))
    assert [one.status_code for one in both] == [200, 200]


async def test_a_refresh_token_is_given_back_if_the_ledger_is_away(desk: Desk) -> None:
    answer = await desk.granted()
    desk.failing.append(LedgerUnavailable())
    said(await desk.refresh(answer["refresh_token"]), 503, "temporarily_unavailable")
    desk.failing.clear()
    desk.ahead_s = GRACE_S + 1
    await refreshed(desk, answer["refresh_token"])


async def test_a_used_one_is_not_made_fresh_by_a_failure(desk: Desk) -> None:
    answer = await desk.granted()
    await refreshed(desk, answer["refresh_token"])
    desk.failing.append(LedgerUnavailable())
    said(await desk.refresh(answer["refresh_token"]), 503, "temporarily_unavailable")
    desk.failing.clear()
    desk.ahead_s = GRACE_S + 1
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")


async def test_out_of_its_time_a_consultation_is_not_renewed_and_nothing_used_up(desk: Desk) -> None:
    desk.in_time = False
    answer = await desk.granted(role="telehealth")  # the first token is no renewal
    assert not desk.renewals
    entries = len(desk.recorded)
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")
    [(base, token, now_s)] = desk.renewals
    assert (base, token.role, str(token.root), token.patient) == (
        BASE,
        "telehealth",
        "Encounter/enc-1",
        "pat-a",
    )
    assert token.issued_at_s == now_s
    assert len(desk.recorded) == entries
    desk.ahead_s = GRACE_S + 1
    desk.in_time = True  # it was prolonged
    await refreshed(desk, answer["refresh_token"])


async def test_a_withdrawn_consent_ends_the_grant(desk: Desk) -> None:
    consent = await desk.permit()
    answer = await desk.granted(consent=consent.id)
    await desk.withdraw(consent.id)
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")
    assert desk.is_over(await desk.verify(answer["access_token"]))
    [entry] = desk.entries("token.revoke")
    assert entry.facts["rsn"] == "consent-ended"


async def test_a_changed_consent_is_named_by_its_newest_entry(desk: Desk) -> None:
    consent = await desk.permit()
    answer = await desk.granted(consent=consent.id)
    desk.house.consents.at_head()
    draft = Draft("pat-a", ("client:public",), ("patient/Observation.rs",))
    changed = await desk.house.service.change(consent.id, draft)
    second = await refreshed(desk, answer["refresh_token"])
    assert (await desk.verify(second["access_token"])).consents == (changed,)


async def test_refreshing_lasts_three_months_after_each_use(desk: Desk) -> None:
    answer = await desk.granted()
    desk.ahead_s = 92 * DAY_S
    second = await refreshed(desk, answer["refresh_token"])
    desk.ahead_s += REFRESH_S - 1
    third = await refreshed(desk, second["refresh_token"])
    desk.ahead_s += REFRESH_S
    said(await desk.refresh(third["refresh_token"]), 400, "invalid_grant")


async def test_refreshing_ends_when_the_approval_does(desk: Desk) -> None:
    answer = await desk.granted(until_s=desk.now_s + DAY_S)
    desk.ahead_s = DAY_S
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")


async def test_a_person_who_was_disabled_gets_nothing_more(desk: Desk) -> None:
    await desk.ports.database.run(lambda session: session.add(account()))
    first = await desk.granted()
    second, code = await refreshed(desk, first["refresh_token"]), await desk.approve()

    def disable(session: Session) -> None:
        session.get_one(Account, "person-1").disabled_s = 1

    await desk.ports.database.run(disable)
    said(await desk.exchange(code), 400, "invalid_grant")
    said(await desk.refresh(second["refresh_token"]), 400, "invalid_grant")
    assert desk.is_over(await desk.verify(second["access_token"]))


@pytest.mark.parametrize("user", ["RelatedPerson/rel-1", "Patient/pat-b", "Practitioner/prac-1", None])
async def test_who_acts_for_another_does_so_while_the_authority_lasts(desk: Desk, user: str | None) -> None:
    authority, consent = await desk.may_act("pat-a"), await desk.permit()
    first = await desk.granted(consent=consent.id, user=user)
    second, code = (
        await refreshed(desk, first["refresh_token"]),
        await desk.approve(consent=consent.id, user=user),
    )
    await ended(desk, authority)
    said(await desk.exchange(code), 400, "invalid_grant")
    said(await desk.refresh(second["refresh_token"]), 400, "invalid_grant")
    for answer in (first, second):
        assert desk.is_over(await desk.verify(answer["access_token"]))
    assert {entry.facts["rsn"] for entry in desk.entries("token.revoke")} == {"authority-ended"}


@pytest.mark.parametrize("role", ["proxy", "caregiver"])
async def test_the_role_of_who_acts_takes_an_authority(desk: Desk, role: str) -> None:
    by_look_up = await desk.approve(user="Practitioner/prac-1", role=role)  # a professional's needs none
    said(await desk.exchange(by_look_up), 400, "invalid_request")
    assert desk.recorded.count("token.issue") == 0
    consent = await desk.permit()
    await desk.may_act()
    acting = await desk.granted(consent=consent.id, user="RelatedPerson/rp-1", role=role)
    assert (await desk.verify(acting["access_token"])).role == role
    assert desk.entries("token.issue")[-1].facts["aut"] == [1, "h" * 43]


async def test_for_their_own_records_nobody_acts(desk: Desk) -> None:
    consent = await desk.permit()
    own = await desk.granted(consent=consent.id, user="Patient/pat-a", role="proxy")
    assert (await desk.verify(own["access_token"])).role == "patient"


async def test_an_authority_counts_to_its_last_second(desk: Desk) -> None:
    until_s, consent = desk.now_s + DAY_S, await desk.permit()
    await desk.may_act("pat-a", until_s)
    first = await desk.granted(consent=consent.id, user="RelatedPerson/rel-1")
    desk.ahead_s = until_s - desk.now_s - 5
    second = await refreshed(desk, first["refresh_token"])
    desk.ahead_s += 6
    said(await desk.refresh(second["refresh_token"]), 400, "invalid_grant")


async def test_an_authority_is_for_its_patient_alone(desk: Desk) -> None:
    await desk.may_act("pat-b")
    code = await desk.approve(consent=(await desk.permit()).id, user="RelatedPerson/rel-1")
    said(await desk.exchange(code), 400, "invalid_grant")


async def test_an_authority_that_was_recorded_anew_counts(desk: Desk) -> None:
    authority, consent = await desk.may_act("pat-a"), await desk.permit()
    answer = await desk.granted(consent=consent.id, user="RelatedPerson/rel-1")
    await desk.may_act("pat-a")
    await ended(desk, authority)
    await refreshed(desk, answer["refresh_token"])


@pytest.mark.parametrize("user", ["Patient/pat-a", "Practitioner/prac-1"])
async def test_who_needs_no_authority_refreshes_without_one(desk: Desk, user: str) -> None:
    await ended(desk, await desk.may_act("pat-a"))
    answer = await desk.granted(user=user)
    await refreshed(desk, answer["refresh_token"])


async def ended(desk: Desk, authority: str) -> None:
    def work(session: Session) -> None:
        session.get_one(Authority, authority).ended_s = desk.now_s

    await desk.ports.database.run(work)


async def test_online_access_lasts_as_long_as_its_session(desk: Desk) -> None:
    digest = bytes(32)

    def work(session: Any) -> None:
        times = {"created_s": desk.now_s, "seen_s": desk.now_s, "exp_s": desk.now_s + 3600}
        session.add(account())
        session.flush()
        session.add(
            BrowserSession(digest=digest, id="ses-1", person="person-1", factor="pwd", pending=False, **times)
        )

    await desk.ports.database.run(work)
    answer = await desk.granted(scope="patient/*.rs online_access", online="ses-1")
    second = await refreshed(desk, answer["refresh_token"])
    now_s = desk.now_s
    await desk.ports.database.run(lambda session: end_session(session, digest, now_s))
    said(await desk.refresh(second["refresh_token"]), 400, "invalid_grant")
    assert desk.is_over(await desk.verify(second["access_token"]))
    assert desk.entries("token.revoke")[0].facts["rsn"] == "logged-out"


async def test_a_base_that_is_not_served_any_more(tmp_path: Path) -> None:
    async with open_desk(tmp_path, (BASE,)) as desk:
        code = await desk.approve(audience="https://gw.example/gone")
        said(await desk.exchange(code), 400, "invalid_grant")


def account() -> Account:
    return Account(id="person-1", login="anna", name="Anna Ek", password="", created_s=0)
