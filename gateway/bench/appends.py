"""Durable appends, beside the bare fsync of the same disk that each of them waits for.

The entries are sealed beforehand; each append gets a nonce of its own, which makes it an entry of its own.
Nobody's append returns before it is durable, so with one waiter the disk sets the pace, and with many the
commit that they share.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import uvloop

from gateway.bench.figures import Tick, median_of, percentile, quiet_collector
from gateway.bench.house import BenchHouse, make_house
from gateway.bench.options import Options
from gateway.bench.report import Cell, Column, Table
from gateway.bench.walk import Walk, open_walk
from gateway.core.record import Draft
from gateway.core.tlog.disclosure import NONCE_BYTES
from gateway.entropy import random_bytes
from gateway.house import OpenHouse, now_ms
from gateway.ledger.store import SealedEntry

WAITERS: Final = {1: 1500, 32: 20_000, 256: 60_000}
"""How many appends are made in one turn by so many waiters, if there is time."""
LONGEST_S: Final = 3.0  # the ledger refuses entries that were sealed too long ago
SEALED: Final = 16
FSYNCS: Final = 1000
BLOCK: Final = bytes(8192)  # a page of the ledger's database

COLUMNS: Final = (
    Column("what", "what"),
    Column("per_second", "/s"),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
)
NOTE: Final = (
    "Entries built beforehand, appended by so many waiters who each wait for the last one to be durable, "
    "beside 8 kB appended to a file on the same disk with fdatasync."
)
Figures = tuple[float, float, float]
"""Per second, p50 and p99 in milliseconds."""


def steps(options: Options) -> int:
    return options.turns * (len(WAITERS) + 1)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    rows = uvloop.run(_rows(make_house(folder / "appends"), folder / "fsync", options, tick))
    return Table("appends", "Appending to the ledger", NOTE, COLUMNS, rows)


async def _rows(bench: BenchHouse, file: Path, options: Options, tick: Tick) -> tuple[tuple[Cell, ...], ...]:
    fsyncs: list[Figures] = []
    taken: dict[int, list[Figures]] = {waiters: [] for waiters in WAITERS}
    async with open_walk(bench) as walk:
        draft = await walk.draft_of_read()
        for _ in range(options.turns):
            tick("fsync")
            fsyncs.append(_fsync(file, options.repeat(FSYNCS)))
            for waiters, times in WAITERS.items():
                tick(f"appending, {waiters} at once")
                entries = _entries(walk, draft, max(options.repeat(times), waiters))
                with quiet_collector():
                    taken[waiters].append(await _append(walk.house, entries, waiters))
    named = {"fsync": fsyncs} | {f"append, {waiters} waiting": turns for waiters, turns in taken.items()}
    return tuple((name, *median_of(turns)) for name, turns in named.items())


def _fsync(path: Path, times: int) -> Figures:
    seconds = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(times):
            start = time.perf_counter()
            os.write(handle, BLOCK)
            os.fdatasync(handle)
            seconds.append(time.perf_counter() - start)
    finally:
        os.close(handle)
    return _figures(seconds, sum(seconds))


def _entries(walk: Walk, draft: Draft, count: int) -> list[SealedEntry]:
    """As many entries, sealed now, each under a nonce of its own."""
    sealed = [walk.sealed(draft, now_ms()) for _ in range(SEALED)]
    return [replace(entry, nonce=random_bytes(NONCE_BYTES)) for entry in islice(cycle(sealed), count)]


async def _append(house: OpenHouse, entries: list[SealedEntry], waiters: int) -> Figures:
    seconds: list[float] = []
    left = iter(entries)

    async def waiter() -> None:
        for entry in left:
            sent = time.perf_counter()
            await house.ledger.append([entry])
            seconds.append(time.perf_counter() - sent)
            if sent - start > LONGEST_S:
                break

    start = time.perf_counter()
    await asyncio.gather(*(waiter() for _ in range(waiters)))
    return _figures(seconds, time.perf_counter() - start)


def _figures(seconds: list[float], whole_s: float) -> Figures:
    return len(seconds) / whole_s, percentile(seconds, 50) * 1000, percentile(seconds, 99) * 1000
