"""Requests through the gateway and past it, in turns: what a read costs the one who waits for it.

Client, gateway and upstream are processes; the gateway is `consentry serve`, with every check and the
durable record. Before the first turn each answer is compared with what the upstream holds, and after the
last the ledger must have an entry for every answer that was given.
"""

from __future__ import annotations

import http.client
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvloop

from gateway.app import open_house
from gateway.bench.figures import Tick, median_of
from gateway.bench.house import BenchHouse, make_house
from gateway.bench.load import PATIENCE_S, Order, Result
from gateway.bench.options import Options
from gateway.bench.processes import START_S, Child, child, cores_apart
from gateway.bench.records import PATIENT
from gateway.bench.report import Cell, Column, Table
from gateway.config import Settings
from gateway.errors import ConfigError, VerificationFailed

CONNECTIONS: Final = (1, 32)


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked for, below one of the upstream's bases."""

    name: str
    base: str
    target: str
    entries: int  # of a searchset; 0 for a resource alone


CASES: Final = (
    Case("read", "new", f"/Patient/{PATIENT}", 0),
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
    Column("refused_percent", "refused %"),
)
NOTE: Final = (
    "The same requests to the upstream itself and through the gateway, in turns. *Added* is the gateway's "
    "p50 less the upstream's, the commit of the record included. *Seen before*: the gateway still knows "
    "every resource by its digest; otherwise each is new to it. *CPU* is all of the gateway's time on a "
    "processor for one answer, which other work on the machine disturbs least. *Refused* are answers with "
    "503; the other figures leave them out."
)


def steps(options: Options) -> int:
    return options.turns * len(CASES) * len(CONNECTIONS)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    """Raises ConfigError if a process fails, VerificationFailed if an answer or the ledger is not right."""
    turns: defaultdict[tuple[Case, int], list[tuple[float, ...]]] = defaultdict(list)
    answers = 0
    with _running(folder / "requests") as bench:
        lengths = {case: bench.check(case) for case in CASES}
        for _ in range(options.turns):
            for case in CASES:
                for connections in CONNECTIONS:
                    tick(f"{case.name}, {connections} at once")
                    turn, answered = bench.turn(case, connections, lengths[case], options)
                    turns[case, connections].append(turn)
                    answers += answered
    _check_record(bench.house, answers)
    rows = tuple(
        _row(case, connections, lengths[case][0], median_of(taken))
        for (case, connections), taken in turns.items()
    )
    return Table("requests", "Requests", NOTE, COLUMNS, rows)


@dataclass(frozen=True, slots=True)
class _Bench:
    """The running processes, and how to speak to them."""

    house: BenchHouse
    upstream_port: int
    gateway_port: int
    gateway: Child
    load: Child

    def check(self, case: Case) -> tuple[int, int]:
        """The lengths of the answers to `case`, from the upstream and from the gateway.

        Raises VerificationFailed unless the gateway releases all that the upstream has, with a receipt."""
        direct, _ = _get(self.upstream_port, _target(case), "")
        released, receipt = _get(self.gateway_port, _target(case), self._authorization(case))
        if _ids(released) != _ids(direct) or len(_ids(direct)) != (case.entries or 1) or not receipt:
            raise VerificationFailed(f"{case.name}: the gateway's answer is not the upstream's, recorded")
        return len(direct), len(released)

    def turn(
        self, case: Case, connections: int, lengths: tuple[int, int], options: Options
    ) -> tuple[tuple[float, ...], int]:
        """One measurement past the gateway, one through it, and how many answers the gateway gave."""
        shared = (connections, options.seconds, options.warm_up_s)
        direct = self._ordered(Order(self.upstream_port, _target(case), "", *shared, lengths[0], ""))
        before = self.gateway.cpu_seconds()
        through = self._ordered(
            Order(
                self.gateway_port,
                _target(case),
                self._authorization(case),
                *shared,
                lengths[1],
                "ledger-entry",
            )
        )
        after = self.gateway.cpu_seconds()
        cpu_s = None if before is None or after is None or not through.total else (after - before) / through.total
        return Turn(direct, through, cpu_s), through.total

    def _authorization(self, case: Case) -> str:
        return f"Bearer {self.house.tokens[case.base]}"

    def _ordered(self, order: Order) -> Result:
        self.load.say(json.dumps(asdict(order)))
        result = Result(**json.loads(self.load.line(order.warm_up_s + order.seconds + PATIENCE_S + START_S)))
        if result.failed:
            raise ConfigError(f"GET {order.target} could not be measured: {result.failed}.")
        return result


@contextmanager
def _running(folder: Path) -> Iterator[_Bench]:
    gateway_cores, other_cores = cores_apart()
    folder.mkdir()
    with (
        child("upstream", ["gateway.bench.upstream"], folder, other_cores) as upstream,
        child("load generator", ["gateway.bench.load"], folder, other_cores) as load,
    ):
        upstream_port = int(upstream.line(START_S))
        house = make_house(folder / "house", upstream_port)
        serve = ["gateway", "serve", "--config", str(house.config), "--port", "0"]
        with child("gateway", serve, folder, gateway_cores) as gateway:
            yield _Bench(house, upstream_port, _announced_port(gateway.line(START_S)), gateway, load)


def _announced_port(line: str) -> int:
    """The port in `... http://HOST:PORT ...`, which a gateway prints when it answers."""
    url = next((word for word in line.split() if word.startswith("http://")), "")
    port = urlsplit(url).port
    if port is None:
        raise ConfigError(f"The gateway did not say where it listens: {line}")
    return port


def _target(case: Case) -> str:
    return f"/{case.base}{case.target}"


def _get(port: int, target: str, authorization: str) -> tuple[bytes, str | None]:
    """Body and receipt of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        headers = {"Accept": "application/fhir+json"}
        connection.request(
            "GET", target, headers=headers | ({"Authorization": authorization} if authorization else {})
        )
        response = connection.getresponse()
        return response.read(), response.getheader("Ledger-Entry")
    finally:
        connection.close()


def _ids(body: bytes) -> list[str]:
    """The ids of the resources in an answer, in their order; none for an error."""
    tree = json.loads(body)
    found = [entry["resource"] for entry in tree.get("entry", ())] or [tree]
    return [resource["id"] for resource in found if "id" in resource]


def _figures(result: Result) -> tuple[float, float, float]:
    return result.per_second, result.p50_ms, result.p99_ms


def _check_record(bench: BenchHouse, answers: int) -> None:
    """Raises VerificationFailed unless every answer of the gateway has its entry."""
    entries = uvloop.run(_size(bench.settings))
    if entries < answers:
        raise VerificationFailed(f"ledger: {answers} answers were given, {entries} entries are there")


async def _size(settings: Settings) -> int:
    async with open_house(settings) as house:
        return house.ledger.head().size


def _row(case: Case, connections: int, length: int, figures: tuple[float, ...]) -> tuple[Cell, ...]:
    direct_rate, direct_p50, direct_p99, rate, p50, p99, cpu_s = figures
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
        direct_p99,
        p99,
        cpu_s * 1e6 if cpu_s >= 0 else None,
    )
