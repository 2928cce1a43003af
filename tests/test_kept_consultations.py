"""A consultation that is kept with its token: open by the times that are kept and the clock of now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.fhir.literals import parse_date
from gateway.core.values import Ask, UpstreamReply
from tests.core.consent.build import NOW_S
from tests.support.case_desk import Desk, limited, note, stay
from tests.support.hospital import Hospital, at, record

OVER_S = NOW_S + 3 * 86_400
# Made in the last hour of that time, since that is how long it may live; the walk does not ask since when.
SPECIALIST = limited("telehealth", "Appointment/1", issued_at_s=OVER_S - 3600, expires_at_s=OVER_S)
END = "2026-06-01T10:10:00Z"  # ten minutes from now


def second(text: str) -> int:
    return int(parse_date(text)[1].low.timestamp())


CLOSES_S = second(END) + 86_400 - NOW_S  # the last second, with the grace of a day


def meeting(end: str = END) -> dict[str, Any]:
    return record("Appointment/1", start="2026-06-01T09:00:00Z", end=end)


REMOTE = (meeting(), stay("5", appointment=[at("Appointment/1")]), note("of-5", "5"), note("of-4", "4"))
ROOT = "/Appointment?_id=1&patient=Patient%2F85&_count=200"


async def looks(desk: Desk, after_s: int) -> tuple[bool, int]:
    """Whether the consultation's note is seen, and how often the appointment was read for it."""
    seen = await desk.shows("Observation/of-5", SPECIALIST, after_s)
    return seen, len([ask for ask in desk.asked if ask.startswith("/Appointment?_id=1&")])


async def test_a_consultation_ends_by_the_clock_of_now() -> None:
    desk = Desk(REMOTE, lasts_s=3600)
    assert await looks(desk, CLOSES_S - 10) == (True, 1)
    assert await looks(desk, CLOSES_S) == (True, 0)
    assert await looks(desk, CLOSES_S + 1) == (True, 0)  # the end is to the second, and this one is in it
    assert await looks(desk, CLOSES_S + 2) == (False, 1)
    assert await looks(desk, CLOSES_S + 3) == (False, 1)


async def test_a_consultation_that_was_prolonged_opens_at_once() -> None:
    desk = Desk(REMOTE, lasts_s=3600)
    assert await looks(desk, CLOSES_S) == (True, 1)
    desk.put(meeting("2026-06-01T10:20:00Z"))
    assert await looks(desk, CLOSES_S + 2) == (True, 1)
    assert await looks(desk, CLOSES_S + 3) == (True, 0)


@pytest.mark.parametrize(("after_s", "seen"), [(59, True), (60, False)])
async def test_a_consultation_that_was_cut_short_stays_open_for_a_while(after_s: int, seen: bool) -> None:
    desk = Desk(REMOTE)
    assert await looks(desk, CLOSES_S - 100) == (True, 1)
    desk.put(meeting("2026-06-01T10:00:00Z"))
    assert (await looks(desk, CLOSES_S - 100 + after_s))[0] == seen


@pytest.mark.parametrize("later_s", [0, 59])
async def test_a_consultation_out_of_its_time_keeps_nothing(later_s: int) -> None:
    desk = Desk(REMOTE)
    assert await looks(desk, CLOSES_S - 1) == (True, 1)
    desk.put(meeting("2026-06-01T09:30:00Z"))
    assert not await desk.shows("Observation/of-4", SPECIALIST, CLOSES_S)  # has it read anew
    assert await looks(desk, CLOSES_S + later_s) == (False, 1)
    assert len(desk.book) == 0


async def test_what_is_not_shown_of_a_consultation_costs_as_much_as_what_is_not_there() -> None:
    for after_s in (CLOSES_S, CLOSES_S + 100):
        costs = []
        for target in ("Observation/of-4", "Observation/nothing"):
            desk = Desk(REMOTE, lasts_s=3600)
            await looks(desk, CLOSES_S - 1)
            assert not await desk.shows(target, SPECIALIST, after_s)
            costs.append(desk.asked[1:])
        assert costs[0] == costs[1]
        assert ROOT in costs[0]


class Talkative(Hospital):
    """It answers a search for appointments with all that there are."""

    async def fetch(self, ask: Ask) -> UpstreamReply:
        if ask.path == "/Appointment":
            ask = replace(ask, query=tuple(pair for pair in ask.query if pair[0] != "_id"))
        return await super().fetch(ask)


async def test_the_times_of_another_consultation_open_nothing() -> None:
    other = {**meeting("2026-06-05T10:00:00Z"), "id": "2"}
    desk = Desk([*REMOTE, other])
    desk.hospital = Talkative([*REMOTE, other])
    assert await desk.shows("Observation/of-5", SPECIALIST, CLOSES_S)
    assert not await desk.shows("Observation/of-5", SPECIALIST, CLOSES_S + 2)
