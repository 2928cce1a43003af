"""Requests through the gateway and past it, in turns: what a read costs the one who waits for it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.bench.figures import Tick
from gateway.bench.load import Result
from gateway.bench.options import Options
from gateway.bench.records import PATIENT
from gateway.bench.report import Cell, Column, Table
from gateway.bench.rig import Case, Turn, check_record, running_rig

CONNECTIONS: Final = (1, 32)
CASES: Final = (
    Case("read", "new", f"/Patient/{PATIENT}", 1),
    Case("search of 50", "new", "/Observation?_count=50", 50),
    Case("search of 50, seen before", "seen", "/Observation?_count=50", 50),
    Case("search of 50, with a look-up", "mentioned", "/Observation?_count=50", 50),
    Case("search of 1000", "new", "/Observation?_count=1000", 1000),
    Case("search of 1000, seen before", "seen", "/Observation?_count=1000", 1000),
)
COLUMNS: Final = (
    Column("case", "what"),
    Column("kilobytes", "kB", 1),
    Column("connections", "connections"),
    Column("direct_per_second", "direct /s"),
    Column("gateway_per_second", "gateway /s"),
    Column("ratio", "gateway ÷ direct", 3),
    Column("direct_p50_ms", "direct p50 ms", 2),
    Column("gateway_p50_ms", "gateway p50 ms", 2),
    Column("added_p50_ms", "added p50 ms", 2),
    Column("direct_p99_ms", "direct p99 ms", 2),
    Column("gateway_p99_ms", "gateway p99 ms", 2),
    Column("gateway_cpu_us", "gateway CPU µs"),
    Column("refused_percent", "refused %", 1),
)
NOTE: Final = (
    "The same requests to the upstream itself and through the gateway, in turns. *Added* is the gateway's "
    "p50 less the upstream's, the commit of the record included. *Seen before*: the gateway still knows "
    "every resource by its digest; otherwise each is new to it. *CPU* is all of the gateway's time on a "
    "processor for one answer, which other work on the machine disturbs less. *Refused* are answers with "
    "503; the other figures leave them out."
)


def steps(options: Options) -> int:
    return options.turns * len(CASES) * len(CONNECTIONS)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    """Raises ConfigError if a process fails, VerificationFailed if an answer or the ledger is not right."""
    turns: defaultdict[tuple[Case, int], list[Turn]] = defaultdict(list)
    with running_rig(folder / "requests") as rig:
        lengths = {case: rig.check(case) for case in CASES}
        for _ in range(options.turns):
            for case in CASES:
                for connections in CONNECTIONS:
                    tick(f"{case.name}, {connections} at once")
                    turns[case, connections].append(rig.turn(case, connections, lengths[case], options))
    check_record(rig.house, sum(turn.through.total for taken in turns.values() for turn in taken))
    rows = tuple(
        _row(case, connections, lengths[case].direct, taken) for (case, connections), taken in turns.items()
    )
    return Table("requests", "Requests", NOTE, COLUMNS, rows)


def _row(case: Case, connections: int, length: int, turns: Sequence[Turn]) -> tuple[Cell, ...]:
    def direct(figure: Callable[[Result], float]) -> float:
        return statistics.median(figure(turn.direct) for turn in turns)

    def through(figure: Callable[[Result], float]) -> float:
        return statistics.median(figure(turn.through) for turn in turns)

    cpu_s = [turn.cpu_s for turn in turns if turn.cpu_s is not None]
    direct_rate, rate = direct(lambda r: r.per_second), through(lambda r: r.per_second)
    direct_p50, p50 = direct(lambda r: r.p50_ms), through(lambda r: r.p50_ms)
    return (
        case.name,
        length / 1000,
        connections,
        direct_rate,
        rate,
        rate / direct_rate,
        direct_p50,
        p50,
        p50 - direct_p50,
        direct(lambda r: r.p99_ms),
        through(lambda r: r.p99_ms),
        statistics.median(cpu_s) * 1e6 if cpu_s else None,
        through(lambda r: r.refused) * 100,
    )
