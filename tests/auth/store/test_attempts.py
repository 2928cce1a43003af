"""Pauses grow and end; a thousand attempts at once are a thousand."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from gateway.auth.store.attempts import (
    DEVICE_S,
    FORGET_S,
    RULES,
    Counter,
    Kind,
    begin_attempt,
    end_attempt,
    is_device,
    knows_device,
    pause_s,
    remember_device,
)
from tests.auth.site import START_S, Site

NAME, OTHER, ADDRESS = Counter("name", b"n"), Counter("name", b"o"), Counter("address", b"a")


def test_the_pauses_of_a_name() -> None:
    pauses = [pause_s(RULES["name"], count) for count in range(1, 12)]
    assert pauses == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]


@given(st.sampled_from(sorted(RULES)), st.integers(1, 10**9))
def test_a_pause_never_shrinks_and_always_ends(kind: Kind, count: int) -> None:
    rule = RULES[kind]
    assert 0 <= pause_s(rule, count) <= pause_s(rule, count + 1) <= rule.longest_s


async def test_an_attempt_in_a_pause_counts_nothing(site: Site) -> None:
    def begin(now_s: int) -> int:
        return site.database.run_now(lambda session: begin_attempt(session, [NAME, ADDRESS], now_s))

    assert [begin(START_S) for _ in range(8)] == [0] * 5 + [2] * 3
    assert [begin(START_S + 1), begin(START_S + 2), begin(START_S + 2)] == [1, 0, 4]


@pytest.mark.parametrize("kind", RULES)
def test_waiting_to_be_forgotten_gains_little(kind: Kind) -> None:
    rule = RULES[kind]
    assert rule.free - 1 <= 2 * max(FORGET_S // rule.longest_s, 1)


async def test_of_many_at_once_only_the_first_are_tried(site: Site) -> None:
    waits = await asyncio.gather(
        *(site.database.run(lambda session: begin_attempt(session, [NAME], START_S)) for _ in range(20))
    )
    assert sorted(waits) == [0] * 5 + [2] * 15


@pytest.mark.parametrize(("after_s", "waits"), [(FORGET_S, [0, 4]), (FORGET_S + 1, [0, 0])])
async def test_a_count_is_forgotten_after_an_hour(site: Site, after_s: int, waits: list[int]) -> None:
    def begin(now_s: int) -> int:
        return site.database.run_now(lambda session: begin_attempt(session, [NAME], now_s))

    for _ in range(5):
        begin(START_S)
    assert [begin(START_S + after_s) for _ in range(2)] == waits


async def test_a_good_attempt_ends_the_count_of_its_name_and_takes_itself_back_from_an_address(
    site: Site,
) -> None:
    free = RULES["address"].free

    def attempt(counter: Counter, *, good: bool = False) -> int:
        def work(session: Session) -> int:
            counters = [counter, ADDRESS]
            wait_s = begin_attempt(session, counters, START_S)
            if good:
                end_attempt(session, counters, START_S)
            return wait_s

        return site.database.run_now(work)

    for number in range(free - 2):
        assert attempt(Counter("name", b"%d" % number)) == 0
    for _ in range(10):
        assert attempt(NAME, good=True) == 0
    assert [attempt(OTHER), attempt(OTHER), attempt(NAME, good=False)] == [0, 0, 2]


@pytest.mark.parametrize(("after_s", "known"), [(DEVICE_S - 1, True), (DEVICE_S, False)])
async def test_a_browser_is_known_for_half_a_year(site: Site, after_s: int, known: bool) -> None:
    await site.add()
    await site.add("eva", name="Eva")
    [(anna, _), (eva, _)] = await site.people.accounts()
    site.database.run_now(lambda session: remember_device(session, b"d", anna.id, START_S))

    def seen(person: str) -> tuple[bool, bool]:
        at_s = START_S + after_s
        return site.database.run_now(
            lambda s: (knows_device(s, b"d", person, at_s), is_device(s, b"d", at_s))
        )

    assert seen(anna.id) == (known, known)
    assert seen(eva.id) == (False, known)
