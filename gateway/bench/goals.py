"""The figures of a run beside the goals that the gateway is built for, met or missed.

Goals are for a quiet machine with a core for the gateway. They are reported, never enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.bench.deciding import ALL, DEEP, FIVE, THOUSAND
from gateway.bench.report import Cell, Column, Table

Record = Mapping[str, Cell]
Tables = Mapping[str, Sequence[Record]]
"""The records of each table of the run, by its name."""

COLUMNS: Final = (
    Column("what", "what"),
    Column("goal", "goal"),
    Column("here", "here", 2),
    Column("met", "met"),
)
NOTE: Final = (
    "What the gateway is built for, on a quiet machine with a core to itself, and what this run found. "
    "Resources and tokens are new to the gateway; *beyond the fsync* leaves out what one costs on this disk."
)


@dataclass(frozen=True, slots=True)
class Goal:
    """`here` reads the figure out of the tables that it `needs`."""

    what: str
    at_least: bool
    limit: float
    unit: str
    needs: tuple[str, ...]
    here: Callable[[Tables], float]

    @property
    def text(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g} {self.unit}"

    def row(self, tables: Tables) -> tuple[Cell, ...]:
        here = self.here(tables)
        met = here >= self.limit if self.at_least else here <= self.limit
        return self.what, self.text, here, "yes" if met else "missed"


def beside_goals(tables: Sequence[Table]) -> Table:
    """A table of the goals that `tables` have figures for."""
    known = {table.name: table.records() for table in tables}
    rows = tuple(goal.row(known) for goal in GOALS if known.keys() >= {*goal.needs})
    return Table("goals", "Beside the goals", NOTE, COLUMNS, rows)


def _figure(table: str, column: str, **where: Cell) -> Callable[[Tables], float]:
    """The figure in the one row whose cells are those of `where`."""

    def here(tables: Tables) -> float:
        [row] = [row for row in tables[table] if where.items() <= row.items()]
        return float(row[column] or 0)

    return here


def _beyond_the_fsync(case: str) -> Callable[[Tables], float]:
    added = _figure("requests", "added_p50_ms", case=case, connections=1)
    fsync = _figure("appends", "p50_ms", what="fsync")
    return lambda tables: added(tables) - fsync(tables)


def _rate(case: str) -> Callable[[Tables], float]:
    return _figure("requests", "gateway_per_second", case=case, connections=32)


def _slowest(table: str, column: str) -> Callable[[Tables], float]:
    return lambda tables: max(float(row[column] or 0) for row in tables[table])


BOTH: Final = ("requests", "appends")
GOALS: Final = (
    Goal("read, 1 connection: added p50 beyond the fsync", False, 0.4, "ms", BOTH, _beyond_the_fsync("read")),
    Goal(
        "search of 50, 1 connection: the same",
        False,
        0.6,
        "ms",
        BOTH,
        _beyond_the_fsync("search of 50"),
    ),
    Goal("reads, 32 connections", True, 8000, "/s", ("requests",), _rate("read")),
    Goal("searches of 50, 32 connections", True, 3500, "/s", ("requests",), _rate("search of 50")),
    Goal(
        "filter 3 MB, 1,000 entries",
        True,
        150,
        "MB/s",
        ("filter",),
        _figure("filter", "new_mb_per_second", entries=1000),
    ),
    Goal("whose a resource is", False, 5, "µs", ("owners",), _slowest("owners", "us")),
    Goal("decide, five consents", False, 20, "µs", ("decide",), _figure("decide", "us", case=FIVE)),
    Goal(
        "the same, three deep with labels", False, 100, "µs", ("decide",), _figure("decide", "us", case=DEEP)
    ),
    Goal(
        "the first, a thousand consents",
        False,
        1000,
        "µs",
        ("decide",),
        _figure("decide", "first_us", case=THOUSAND),
    ),
    Goal(
        "the first of another token or second, a thousand for the asker",
        False,
        1000,
        "µs",
        ("decide",),
        _figure("decide", "again_us", case=ALL),
    ),
    Goal("entry of a read", False, 60, "µs", ("entry",), _figure("entry", "us", entry="a read")),
    Goal(
        "durable appends, 256 waiting",
        True,
        40_000,
        "/s",
        ("appends",),
        _figure("appends", "per_second", what="append, 256 waiting"),
    ),
    Goal(
        "the same, p99",
        False,
        15,
        "ms",
        ("appends",),
        _figure("appends", "p99_ms", what="append, 256 waiting"),
    ),
    Goal(
        "durable append, 1 waiting, p50",
        False,
        0.5,
        "ms",
        ("appends",),
        _figure("appends", "p50_ms", what="append, 1 waiting"),
    ),
    Goal(
        "tokens for services, 32 callers",
        True,
        300,
        "/s",
        ("services",),
        _figure("services", "per_second", callers=32),
    ),
    Goal(
        "verify a million entries, all signatures",
        False,
        15,
        "s",
        ("verify",),
        _figure("verify", "seconds_per_million", what="verified, with all signatures"),
    ),
)
