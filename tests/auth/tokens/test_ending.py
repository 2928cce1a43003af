"""A grant's end survives whatever happens on its way into the ledger."""

from __future__ import annotations

import pytest
from sqlmodel import Session, select

from gateway.auth.store.grants import Access, Code, Refresh
from gateway.auth.tokens.ending import end_grant, sweep
from gateway.errors import LedgerUnavailable
from tests.auth.desk import Desk
from tests.auth.tokens.test_token import said


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
