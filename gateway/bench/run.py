"""A run: the sections that were asked for, one after the other, and the report of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.bench import appends, costs, deciding, membership, requests, services, verifying
from gateway.bench.figures import Tick
from gateway.bench.goals import beside_goals
from gateway.bench.machine import describe
from gateway.bench.options import Options
from gateway.bench.processes import cores_apart
from gateway.bench.report import Report, Table


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the report: `steps` is how often `measure` ticks."""

    name: str
    measure: Callable[[Options, Path, Tick], Table]
    steps: Callable[[Options], int]


SECTIONS: Final = (
    Section("requests", requests.measure, requests.steps),
    Section("appends", appends.measure, appends.steps),
    Section("entry", costs.entry, costs.one_step_a_turn),
    Section("filter", costs.filtering, costs.filter_steps),
    Section("owners", membership.measure, costs.one_step_a_turn),
    Section("decide", deciding.measure, costs.one_step_a_turn),
    Section("token", costs.token, costs.one_step_a_turn),
    Section("services", services.measure, services.steps),
    Section("verify", verifying.measure, verifying.steps),
)
NAMES: Final = tuple(section.name for section in SECTIONS)


def run(options: Options, tick: Tick = lambda _: None) -> Report:
    """Measures what `options` ask for, in a temporary folder that is gone afterwards.

    Raises ValueError for a section that does not exist, ConfigError if something cannot be started or
    measured, VerificationFailed if the gateway or its ledger gave what is not right.
    """
    wanted = _wanted(options)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="consentry-bench-", dir=options.folder) as name:
        folder = Path(name)
        machine = describe(folder)
        tables = tuple(section.measure(options, folder, tick) for section in wanted)
    goals = beside_goals(tables)
    tables = (goals, *tables) if goals.rows else tables
    return Report(machine, _method(options), tables, time.perf_counter() - start)


def steps(options: Options) -> int:
    """How often `run` ticks. Raises ValueError as it does."""
    return sum(section.steps(options) for section in _wanted(options))


def _wanted(options: Options) -> tuple[Section, ...]:
    if unknown := set(options.only) - set(NAMES):
        raise ValueError(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return tuple(section for section in SECTIONS if not options.only or section.name in options.only)


def _method(options: Options) -> str:
    gateway, others = cores_apart()
    where = (
        f"The gateway has core {gateway[0]} to itself, upstream and load generator share core {others[0]}"
        if gateway != others
        else "All processes share one core"
    )
    figures = "Quick: the figures mean little." if options.quick else "Medians over the rounds."
    return f"{options.turns} round(s) of {options.seconds} s each, in turns. {where}. {figures}"
