"""What it costs to find whose a resource is: the first thing that is asked of each, before any rule."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway import mapping
from gateway.bench.figures import Tick, quiet_collector, seconds_of
from gateway.bench.options import Options
from gateway.bench.records import PATIENT, observation, panel, patient
from gateway.bench.report import Cell, Column, Table
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.compartment import owners

BASES: Final = ("http://127.0.0.1:8080/fhir", "http://127.0.0.1:8090/fhir")
TIMES: Final = 20_000
COLUMNS: Final = (Column("resource", "resource"), Column("us", "µs", 2))
NOTE: Final = (
    "The patients whom a parsed resource is about, by the owner paths of its type: the subject, not the "
    "performer. Part of the facts of each resource that was not seen before."
)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    catalogue = mapping.load_catalogue("R4")
    taken: dict[str, list[float]] = {name: [] for name in _resources()}
    for _ in range(options.turns):
        tick("finding owners")
        for name, resource in _resources().items():
            taken[name].append(_owners_s(resource, catalogue, options.repeat(TIMES)))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, statistics.median(turns) * 1e6) for name, turns in taken.items()
    )
    return Table("owners", "Finding whose a resource is", NOTE, COLUMNS, rows)


def _resources() -> Mapping[str, Any]:
    return {
        "a patient": json.loads(patient()),
        "a result": observation(1, named_encounter=False),
        "a panel": panel(1, named_encounter=False),
    }


def _owners_s(resource: Any, catalogue: Catalogue, times: int) -> float:
    """Seconds for one finding of many."""
    assert owners(resource, catalogue, BASES) == {PATIENT}

    def all_of() -> None:
        for _ in range(times):
            owners(resource, catalogue, BASES)

    with quiet_collector():
        return seconds_of(all_of) / times
