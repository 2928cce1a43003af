"""When a session is live, and when a grant that lasts as long as it still does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session, select

from gateway.auth.store.sessions import (
    IDLE_S,
    LONGEST_S,
    SEEN_EVERY_S,
    BrowserSession,
    begin_session,
    end_session,
    end_sessions_of,
    is_online,
    live_session,
)
from tests.auth.site import START_S, Site


@pytest.fixture
async def begin(site: Site) -> Callable[..., None]:
    await site.add()

    def begin(digest: bytes = b"s", **given: Any) -> None:
        fields = {
            "id": digest.decode(),
            "person": "id-0",
            "factor": "pwd",
            "pending": False,
            "created_s": START_S,
            "seen_s": START_S,
            "exp_s": START_S + LONGEST_S,
            **given,
        }
        site.database.run_now(lambda session: begin_session(session, BrowserSession(digest=digest, **fields)))

    return begin


def _seen(site: Site, after_s: int) -> tuple[bool, bool]:
    """Whether the session is live, and whether it is online."""

    def work(session: Session) -> tuple[bool, bool]:
        online = is_online(session, "s", START_S + after_s)
        return live_session(session, b"s", START_S + after_s) is not None, online

    return site.database.run_now(work)


@pytest.mark.parametrize(
    ("after_s", "seen"),
    [
        (0, (True, True)),
        (IDLE_S - 1, (True, True)),
        (IDLE_S, (False, True)),
        (LONGEST_S - 1, (False, True)),
        (LONGEST_S, (False, False)),
    ],
)
async def test_a_session_rests_and_ends(
    site: Site, begin: Callable[..., None], after_s: int, seen: tuple[bool, bool]
) -> None:
    begin()
    assert _seen(site, after_s) == seen


async def test_use_keeps_it_live(site: Site, begin: Callable[..., None]) -> None:
    begin()
    assert _seen(site, IDLE_S - 1) == (True, True)
    assert _seen(site, IDLE_S + 100) == (True, True)


async def test_not_every_use_is_written(site: Site, begin: Callable[..., None]) -> None:
    begin()
    seen = []
    for after_s in (SEEN_EVERY_S - 1, SEEN_EVERY_S):
        _seen(site, after_s)
        seen.append(site.database.run_now(lambda s: s.exec(select(BrowserSession.seen_s)).one()) - START_S)
    assert seen == [0, SEEN_EVERY_S]


async def test_a_pending_session_is_nobodys(site: Site, begin: Callable[..., None]) -> None:
    begin(pending=True)
    assert _seen(site, 0) == (True, False)


async def test_an_ended_session_does_not_come_back(site: Site, begin: Callable[..., None]) -> None:
    begin()
    begin(b"t")
    site.database.run_now(lambda session: end_session(session, b"s", START_S + 1))
    assert _seen(site, 1) == (False, False)
    assert site.database.run_now(lambda session: is_online(session, "t", START_S + 1))
    site.database.run_now(lambda session: end_session(session, b"s", START_S + 2))
    assert site.database.run_now(lambda s: s.get_one(BrowserSession, b"s").ended_s) == START_S + 1
    site.database.run_now(lambda session: end_session(session, b"unknown", START_S))


async def test_all_sessions_of_a_person_end_and_no_others(site: Site, begin: Callable[..., None]) -> None:
    await site.add("eva", name="Eva")
    begin()
    begin(b"t")
    begin(b"u", person="id-1")
    site.database.run_now(lambda session: end_sessions_of(session, "id-0", START_S + 1))
    online = site.database.run_now(lambda s: [is_online(s, i, START_S + 1) for i in "stu"])
    assert online == [False, False, True]


async def test_sessions_that_are_over_are_removed(site: Site, begin: Callable[..., None]) -> None:
    begin(exp_s=START_S + 5)
    begin(b"t", exp_s=START_S + 6)
    begin(b"u", created_s=START_S + 5, seen_s=START_S + 5)
    assert site.database.run_now(lambda s: set(s.exec(select(BrowserSession.id)))) == {"t", "u"}
