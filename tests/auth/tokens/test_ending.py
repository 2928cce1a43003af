"""A grant's end survives whatever happens on its way into the ledger."""

from __future__ import annotations

import os
from typing import Any

import pytest
from sqlmodel import Session, select

from gateway.auth.people.authorities import Authorities
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.registry import People
from gateway.auth.people.totp import Sealer
from gateway.auth.store.grants import Access, Code, Grant, Refresh
from gateway.auth.tokens.ending import end_grant, finish, sweep
from gateway.errors import LedgerUnavailable, Unauthenticated
from gateway.house import new_id
from tests.auth.desk import Desk
from tests.auth.site import CHEAP, KEY
from tests.auth.tokens.test_token import said

DAY_S = 86_400


async def grant_of(desk: Desk) -> str:
    def work(session: Session) -> str:
        return session.exec(select(Access.grant)).one()

    return await desk.ports.database.run(work)


async def left(desk: Desk) -> list[int]:
    """How many rows there are: codes, refresh tokens, access tokens."""

    def work(session: Session) -> list[int]:
        return [len(session.exec(select(kind)).all()) for kind in (Code, Refresh, Access)]

    return await desk.ports.database.run(work)


async def test_what_a_failure_left_is_found_by_the_sweep(desk: Desk) -> None:
    answer = await desk.granted()
    token, grant = await desk.verify(answer["access_token"]), await grant_of(desk)
    desk.failing.append(LedgerUnavailable())
    with pytest.raises(LedgerUnavailable):
        await end_grant(desk.ports, grant, "operator", "operator")
    assert not desk.is_over(token)
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")
    desk.failing.clear()
    await sweep(desk.ports)
    assert desk.is_over(token)
    assert await left(desk) == [1, 0, 0]
    [entry] = desk.entries("token.revoke")
    assert (entry.facts["rsn"], entry.facts["act"]) == ("grant-ended", "gateway")
    await sweep(desk.ports)
    assert len(desk.entries("token.revoke")) == 1


async def acting(desk: Desk, until_s: int | None = None) -> tuple[str, dict[str, Any]]:
    """An authority for pat-a, and what an app was given under it."""
    authority, consent = await desk.may_act("pat-a", until_s), await desk.permit()
    return authority, await desk.granted(consent=consent.id, user="RelatedPerson/rel-1")


def people_of(desk: Desk) -> tuple[People, Authorities]:
    database = desk.ports.database
    people = People(database, Passwords(CHEAP), Sealer(KEY, os.urandom), new_id)
    return people, Authorities(database, new_id, desk.ports.record, desk.ports.policy)


async def test_who_is_kept_out_takes_along_what_they_granted(desk: Desk) -> None:
    _, theirs = await acting(desk)
    others = await desk.granted(subject="person-2", user="Patient/pat-a")
    await people_of(desk)[0].set_disabled("anna", True, desk.now_s)
    said(await desk.refresh(theirs["refresh_token"]), 400, "invalid_grant")
    desk.failing.append(LedgerUnavailable())
    with pytest.raises(LedgerUnavailable):
        await finish(desk.ports, "person-1", "user-disabled", "operator")
    desk.failing.clear()
    for _ in range(2):
        await finish(desk.ports, "person-1", "user-disabled", "operator")
    assert desk.is_over(await desk.verify(theirs["access_token"]))
    assert not desk.is_over(await desk.verify(others["access_token"]))
    assert (await desk.refresh(others["refresh_token"])).status_code == 200
    [entry] = desk.entries("token.revoke")
    assert (entry.facts["rsn"], entry.facts["act"]) == ("user-disabled", "operator")


async def test_who_is_let_in_again_has_to_grant_anew(desk: Desk) -> None:
    _, answer = await acting(desk)
    for disabled in (True, False):
        await people_of(desk)[0].set_disabled("anna", disabled, desk.now_s)
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")


async def test_an_authority_takes_along_what_was_granted_under_it(desk: Desk) -> None:
    authority, answer = await acting(desk)
    await desk.may_act("pat-b")
    own = await desk.granted(user="Patient/pat-a")
    await people_of(desk)[1].end_authority(authority, desk.now_s)
    await finish(desk.ports, "person-1", "authority-ended", "operator")
    said(await desk.refresh(answer["refresh_token"]), 400, "invalid_grant")
    assert desk.is_over(await desk.verify(answer["access_token"]))
    assert not desk.is_over(await desk.verify(own["access_token"]))
    [entry] = desk.entries("token.revoke")
    assert entry.facts["rsn"] == "authority-ended"


@pytest.mark.parametrize(("another_s", "goes_on"), [(DAY_S, True), (60, False)], ids=["longer", "shorter"])
async def test_another_authority_carries_what_does_not_outlive_it(
    desk: Desk, another_s: int, goes_on: bool
) -> None:
    authority, answer = await acting(desk)
    await desk.may_act("pat-a", desk.now_s + another_s)
    await people_of(desk)[1].end_authority(authority, desk.now_s)
    await finish(desk.ports, "person-1", "authority-ended", "operator")
    assert desk.is_over(await desk.verify(answer["access_token"])) is not goes_on
    assert (await desk.refresh(answer["refresh_token"])).status_code == (200 if goes_on else 400)


async def test_no_token_outlives_the_authority(desk: Desk) -> None:
    until_s = desk.now_s + 90
    _, answer = await acting(desk, until_s)
    token = await desk.verify(answer["access_token"])
    assert token.expires_at_s == until_s + 1
    assert desk.entries("token.issue")[-1].facts["aut"] == [1, "h" * 43]
    await sweep(desk.ports)
    assert desk.entries("token.revoke") == []
    desk.ahead_s = 90
    await sweep(desk.ports)
    assert await unended(desk) == [True]
    desk.ahead_s = 91
    await sweep(desk.ports)
    assert await unended(desk) == [False]
    with pytest.raises(Unauthenticated):
        await desk.verify(answer["access_token"])


async def unended(desk: Desk) -> list[bool]:
    def work(session: Session) -> list[bool]:
        return [grant.ended_s is None for grant in session.exec(select(Grant)).all()]

    return await desk.ports.database.run(work)


async def test_what_was_recorded_before_a_crash_is_not_recorded_again(desk: Desk) -> None:
    answer = await desk.granted()
    grant, token = await grant_of(desk), await desk.verify(answer["access_token"])
    assert token.issued is not None
    index, leaf_hash = token.issued
    await end_grant(desk.ports, grant, "operator", "operator")
    row = Access(entry=index, hash=leaf_hash, grant=grant, exp_s=token.expires_at_s)
    await desk.ports.database.run(lambda session: session.add(row))
    await sweep(desk.ports)
    assert len(desk.entries("token.revoke")) == 1
    assert await left(desk) == [1, 0, 0]


async def test_the_sweep_leaves_what_is_alive_and_removes_what_is_over(desk: Desk) -> None:
    answer = await desk.granted()
    desk.ahead_s = 59
    await sweep(desk.ports)
    assert await left(desk) == [1, 1, 1]
    desk.ahead_s = 3601
    await sweep(desk.ports)
    assert await left(desk) == [0, 1, 0]
    assert (await desk.refresh(answer["refresh_token"])).status_code == 200
