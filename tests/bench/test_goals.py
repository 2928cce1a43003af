"""Figures beside goals: what is met, what is missed, what was not measured."""

from __future__ import annotations

import pytest

from gateway.bench.goals import GOALS, Goal, beside_goals
from gateway.bench.report import Column, Table

APPENDS = (Column("what", "what"), Column("per_second", "/s"), Column("p50_ms", "ms"), Column("p99_ms", "ms"))


def table(name: str, columns: tuple[Column, ...], *rows: tuple[str | float, ...]) -> Table:
    return Table(name, name, "", columns, rows)


@pytest.mark.parametrize(
    ("at_least", "here", "met"),
    [(True, 8.0, "yes"), (True, 7.99, "missed"), (False, 8.0, "yes"), (False, 8.01, "missed")],
)
def test_a_goal_is_met_at_its_limit(at_least: bool, here: float, met: str) -> None:
    goal = Goal("reads", at_least, 8, "/s", (), lambda _: here)
    assert goal.row({}) == ("reads", f"{'≥' if at_least else '≤'} 8 /s", here, met)


def test_goals_without_a_figure_are_left_out() -> None:
    assert beside_goals(()).rows == ()
    measured = table("entry", (Column("entry", "entry of"), Column("us", "µs")), ("a read", 70.0))
    assert beside_goals((measured,)).rows == (("entry of a read", "≤ 60 µs", 70.0, "missed"),)


def test_what_a_read_adds_is_counted_beyond_the_fsync() -> None:
    requests = table(
        "requests",
        (
            Column("case", "what"),
            Column("connections", "connections"),
            Column("gateway_per_second", "/s"),
            Column("added_p50_ms", "ms"),
        ),
        *((case, n, 9000, 0.7) for case in ("read", "search of 50") for n in (1, 32)),
    )
    appends = table(
        "appends",
        APPENDS,
        ("fsync", 900, 0.25, 1),
        ("append, 1 waiting", 2000, 0.4, 1),
        ("append, 256 waiting", 39_999, 4, 15),
    )
    rows = {row[0]: row[1:] for row in beside_goals((requests, appends)).rows}
    goal, here, met = rows["read, 1 connection: added p50 beyond the fsync"]
    assert (goal, met) == ("≤ 0.4 ms", "missed")
    assert here == pytest.approx(0.45)
    assert rows["search of 50, 1 connection: the same"][::2] == ("≤ 0.6 ms", "yes")
    assert rows["reads, 32 connections"] == ("≥ 8,000 /s", 9000, "yes")
    assert rows["durable appends, 256 waiting"] == ("≥ 40,000 /s", 39_999, "missed")
    assert rows["the same, p99"] == ("≤ 15 ms", 15, "yes")


def test_each_goal_is_named_once() -> None:
    assert len({goal.what for goal in GOALS}) == len(GOALS)
