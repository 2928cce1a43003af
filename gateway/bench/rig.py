"""Upstream, gateway and load generator, running, and what can be asked of them together.

The gateway is `consentry serve`, with every check and the durable record. Nothing is measured before each
answer was compared with what the upstream holds.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from gateway.bench.house import BenchHouse, make_house
from gateway.bench.load import PATIENCE_S, Order, Result
from gateway.bench.options import Options
from gateway.bench.processes import START_S, Child, child, cores_apart
from gateway.config import Settings
from gateway.errors import ConfigError, VerificationFailed
from gateway.house import open_house


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked for: `target` below one of the upstream's bases, and how many `resources` that is."""

    name: str
    base: str
    target: str
    resources: int

    @property
    def address(self) -> str:
        return f"/{self.base}{self.target}"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Bytes of the right answer to a case: the upstream's, and the gateway's."""

    direct: int
    through: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement past the gateway and one through it; `cpu_s` is the gateway's CPU time for an answer,
    None where the system does not tell."""

    direct: Result
    through: Result
    cpu_s: float | None


@dataclass(frozen=True, slots=True)
class Rig:
    """The running processes."""

    house: BenchHouse
    upstream_port: int
    gateway_port: int
    gateway: Child
    load: Child

    def check(self, case: Case) -> Lengths:
        """Raises VerificationFailed unless the gateway releases all that the upstream has, with a receipt."""
        direct, _ = _get(self.upstream_port, case.address, {})
        released, receipt = _get(
            self.gateway_port, case.address, {"Authorization": self._authorization(case)}
        )
        if ids(released) != ids(direct) or len(ids(direct)) != case.resources or receipt is None:
            raise VerificationFailed(f"{case.name}: the gateway's answer is not the upstream's, recorded")
        return Lengths(len(direct), len(released))

    def turn(self, case: Case, connections: int, lengths: Lengths, options: Options) -> Turn:
        """Raises ConfigError if an answer is neither right nor a 503."""
        size = (connections, options.seconds, options.warm_up_s)
        direct = self._ordered(Order(self.upstream_port, case.address, "", *size, lengths.direct, ""))
        token = self._authorization(case)
        before = self.gateway.cpu_seconds()
        through = self._ordered(
            Order(self.gateway_port, case.address, token, *size, lengths.through, "ledger-entry")
        )
        after = self.gateway.cpu_seconds()
        if before is None or after is None or not through.total:
            return Turn(direct, through, None)
        return Turn(direct, through, (after - before) / through.total)

    def _authorization(self, case: Case) -> str:
        return f"Bearer {self.house.tokens[case.base]}"

    def _ordered(self, order: Order) -> Result:
        self.load.say(json.dumps(asdict(order)))
        result = Result(**json.loads(self.load.line(order.warm_up_s + order.seconds + PATIENCE_S + START_S)))
        if result.failed:
            raise ConfigError(f"GET {order.target} could not be measured: {result.failed}.")
        return result


@contextmanager
def running_rig(folder: Path) -> Iterator[Rig]:
    """All of it, with its files in `folder`, which is made."""
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
            yield Rig(house, upstream_port, announced_port(gateway.line(START_S)), gateway, load)


def check_record(bench: BenchHouse, answers: int) -> None:
    """Raises VerificationFailed unless there is an entry for each of so many answers."""
    entries = uvloop.run(_size(bench.settings))
    if entries < answers:
        raise VerificationFailed(f"ledger: {answers} answers were given, {entries} entries are there")


def announced_port(line: str) -> int:
    """The port in `... http://HOST:PORT ...`, which a gateway prints when it answers."""
    url = next((word for word in line.split() if word.startswith("http://")), "")
    port = urlsplit(url).port
    if port is None:
        raise ConfigError(f"The gateway did not say where it listens: {line}")
    return port


def ids(body: bytes) -> list[str]:
    """The ids of the resources in an answer, in their order; none for an error."""
    tree = json.loads(body)
    found = [entry["resource"] for entry in tree.get("entry", ())] or [tree]
    return [resource["id"] for resource in found if "id" in resource]


async def _size(settings: Settings) -> int:
    async with open_house(settings) as house:
        return house.ledger.head().size


def _get(port: int, address: str, headers: dict[str, str]) -> tuple[bytes, str | None]:
    """Body and receipt of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", address, headers={"Accept": "application/fhir+json", **headers})
        response = connection.getresponse()
        return response.read(), response.getheader("Ledger-Entry")
    finally:
        connection.close()
