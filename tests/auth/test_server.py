"""The whole of the authorization server: what it tidies up behind itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.auth import server
from gateway.auth.server import AuthorizationServer, scopes_served
from gateway.auth.store import grants
from gateway.auth.store.grants import Access
from gateway.errors import LedgerUnavailable
from tests.auth.desk import Desk


@asynccontextmanager
async def tidying(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(server, "SWEEP_EVERY_S", 0.01)

    async def nobody(_: str) -> bool:
        return False

    task = asyncio.create_task(AuthorizationServer(desk.ports, {}, [], nobody).tidy())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def half_ended(desk: Desk) -> str:
    """An access token of a grant that ended, as a crash leaves it: the ledger was not told."""
    answer = await desk.granted()
    now_s = desk.now_s
    token = await desk.verify(answer["access_token"])
    assert token.issued is not None
    entry = token.issued[0]
    await desk.ports.database.run(
        lambda session: grants.end_grant(session, session.get_one(Access, entry).grant, now_s)
    )
    assert not desk.is_over(token)
    return str(answer["access_token"])


async def over(desk: Desk, text: str) -> bool:
    token = await desk.verify(text)
    for _ in range(2000):
        if desk.is_over(token):
            return True
        await asyncio.sleep(0.01)
    return False


async def said(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    for _ in range(2000):
        if text in caplog.text:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_was_left_half_ended_is_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    left, other = await half_ended(desk), (await desk.granted())["access_token"]
    async with tidying(desk, monkeypatch):
        assert await over(desk, left)
    [entry] = desk.entries("token.revoke")
    assert (entry.facts["rsn"], entry.facts["act"]) == ("grant-ended", "gateway")
    assert not desk.is_over(await desk.verify(other))


async def test_it_goes_on_when_the_ledger_comes_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = await half_ended(desk)
    desk.failing.append(LedgerUnavailable())
    async with tidying(desk, monkeypatch):
        assert await said(caplog, "left for later: LedgerUnavailable")
        assert not desk.is_over(await desk.verify(left))
        desk.failing.clear()
        assert await over(desk, left)


def test_who_logged_in_is_told_only_with_a_key_for_it() -> None:
    assert set(scopes_served(sign_on=True)) - set(scopes_served(sign_on=False)) == {"openid", "fhirUser"}
