"""What one step costs, without a network: entry, filter, token. Each a section of the report."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Final

import uvloop

from gateway.bench.figures import Tick, quiet_collector, seconds_of
from gateway.bench.house import BenchHouse, make_house, mint
from gateway.bench.options import Options
from gateway.bench.report import Cell, Column, Table
from gateway.bench.walk import Walk, open_walk, search
from gateway.core.record import Draft
from gateway.house import new_id, now_ms
from gateway.ports import Ports

ENTRIES: Final = 2000
FRESH_TOKENS, KNOWN_TOKENS = 300, 20_000
PAGES: Final = {50: 60, 1000: 6}
"""How often a page of that many entries is filtered in one turn."""

ENTRY_COLUMNS: Final = (
    Column("entry", "entry of"),
    Column("us", "µs", 1),
    Column("leaf_bytes", "leaf bytes"),
    Column("sidecar_bytes", "sidecar bytes"),
)
ENTRY_NOTE: Final = (
    "From the facts to bytes ready to append: digests of each fact, commitment, Ed25519 signature, and "
    "the facts encrypted under the patient's key. Once for each patient of an answer."
)
FILTER_COLUMNS: Final = (
    Column("entries", "entries"),
    Column("kilobytes", "kB", 1),
    Column("new_ms", "all new: ms", 2),
    Column("new_mb_per_second", "all new: MB/s"),
    Column("seen_ms", "seen before: ms", 2),
    Column("seen_mb_per_second", "seen before: MB/s"),
)
FILTER_NOTE: Final = (
    "The release alone, from the upstream's bytes to our answer and the facts of its record: the bundle "
    "split, each resource parsed, its facts found, each judged by scope, owner and consent, the answer "
    "built and hashed. A resource *seen before* is known by its digest and judged again, but not parsed "
    "again. Megabytes are the upstream's."
)
TOKEN_COLUMNS: Final = (Column("token", "token"), Column("us", "µs", 1))
ON_TOKENS: Final = (
    "ES256, the gateway's own issuer. A token seen before is found by its digest; consents are looked at "
    "on every request all the same, and are not part of this."
)


def one_step_a_turn(options: Options) -> int:
    return options.turns


def filter_steps(options: Options) -> int:
    return options.turns * len(PAGES)


def entry(options: Options, folder: Path, tick: Tick) -> Table:
    rows = uvloop.run(_entry_rows(make_house(folder / "entry"), options, tick))
    return Table("entry", "Building an entry", ENTRY_NOTE, ENTRY_COLUMNS, rows)


def filtering(options: Options, folder: Path, tick: Tick) -> Table:
    rows = uvloop.run(_filter_rows(make_house(folder / "filter"), options, tick))
    return Table("filter", "Filtering a searchset", FILTER_NOTE, FILTER_COLUMNS, rows)


def token(options: Options, folder: Path, tick: Tick) -> Table:
    rows = uvloop.run(_token_rows(make_house(folder / "token"), options, tick))
    return Table("token", "Verifying a token", ON_TOKENS, TOKEN_COLUMNS, rows)


# --- Entries ---------------------------------------------------------------------------------------


async def _entry_rows(bench: BenchHouse, options: Options, tick: Tick) -> tuple[tuple[Cell, ...], ...]:
    async with open_walk(bench) as walk:
        drafts = {
            "a read": await walk.draft_of_read(),
            "a search that released 50": await walk.draft_of(search(50), walk.page(50).numbered(1)),
        }
        taken: dict[str, list[float]] = {name: [] for name in drafts}
        for _ in range(options.turns):
            tick("building entries")
            for name, draft in drafts.items():
                taken[name].append(_sealing_s(walk, draft, options.repeat(ENTRIES)))
        return tuple(_entry_row(walk, name, draft, taken[name]) for name, draft in drafts.items())


def _sealing_s(walk: Walk, draft: Draft, times: int) -> float:
    """Seconds for one entry of many."""

    def all_of() -> None:
        for _ in range(times):
            walk.sealed(draft, now_ms())

    with quiet_collector():
        return seconds_of(all_of) / times


def _entry_row(walk: Walk, name: str, draft: Draft, taken: list[float]) -> tuple[Cell, ...]:
    made = walk.sealed(draft, now_ms())
    return name, statistics.median(taken) * 1e6, len(made.leaf), len(made.sidecar)


# --- Filter ----------------------------------------------------------------------------------------


async def _filter_rows(bench: BenchHouse, options: Options, tick: Tick) -> tuple[tuple[Cell, ...], ...]:
    async with open_walk(bench) as walk:
        return tuple([await _filter_row(walk, count, options, tick) for count in PAGES])


async def _filter_row(walk: Walk, count: int, options: Options, tick: Tick) -> tuple[Cell, ...]:
    template, new_s, seen_s = walk.page(count), list[float](), list[float]()
    for _ in range(options.turns):
        tick(f"filtering {count} entries")
        bodies = [template.numbered(i) for i in range(options.repeat(PAGES[count]))]
        knowing = walk.ports()
        with quiet_collector():
            new_s += [await _filter_s(walk, walk.ports(), count, body) for body in bodies]
            await _filter_s(walk, knowing, count, bodies[0])
            seen_s += [await _filter_s(walk, knowing, count, bodies[0]) for _ in bodies]
    length, new, seen = len(template.numbered(0)), statistics.median(new_s), statistics.median(seen_s)
    return count, length / 1000, new * 1000, length / new / 1e6, seen * 1000, length / seen / 1e6


async def _filter_s(walk: Walk, ports: Ports, count: int, body: bytes) -> float:
    passage = await walk.passage(ports, search(count), body)
    assert passage.answer.count(b'"fullUrl"') == count, "the consent covers everything"
    return passage.release_s


# --- Tokens ----------------------------------------------------------------------------------------


async def _token_rows(bench: BenchHouse, options: Options, tick: Tick) -> tuple[tuple[Cell, ...], ...]:
    misses, hits = [], []
    async with open_walk(bench) as walk:
        for _ in range(options.turns):
            tick("verifying tokens")
            audience, count = walk.audience, options.repeat(FRESH_TOKENS)
            fresh = [mint(walk.house, audience, bench.consent, new_id()) for _ in range(count)]
            known = [fresh[0]] * options.repeat(KNOWN_TOKENS)
            miss, hit = await _verified(walk, fresh, known)
            misses.append(miss)
            hits.append(hit)
    return (
        ("not seen before", statistics.median(misses) * 1e6),
        ("seen before", statistics.median(hits) * 1e6),
    )


async def _verified(walk: Walk, *lists: list[str]) -> list[float]:
    """Seconds for one token of each list, by a verifier that remembers those of the lists before."""
    verify, audience, now_s = walk.ports().verify, walk.audience, now_ms() // 1000
    taken = []
    with quiet_collector():
        for tokens in lists:
            start = time.perf_counter()
            for one in tokens:
                await verify(one, audience, now_s)
            taken.append((time.perf_counter() - start) / len(tokens))
    return taken
