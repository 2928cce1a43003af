"""A whole ledger made and verified: every entry parsed, every signature, tile and the root derived anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import uvloop

from gateway.bench.figures import Tick, median_of, quiet_collector
from gateway.bench.house import BenchHouse, make_house
from gateway.bench.options import Options
from gateway.bench.report import Column, Table
from gateway.bench.walk import open_walk
from gateway.errors import VerificationFailed
from gateway.house import now_ms
from gateway.ledger.keys import load_keys
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.verify import PublicKeys, verify_store

BATCH: Final = 500
TURNS: Final = 3
COLUMNS: Final = (
    Column("what", "what"),
    Column("entries", "entries"),
    Column("per_second", "entries/s"),
    Column("seconds_per_million", "s for a million", 1),
)
NOTE: Final = (
    "From nothing but the database and the public keys, as `consentry ledger verify` does; once with every "
    "entry's Ed25519 signature, once with the tree alone. *Made* is sealing and appending, in one process."
)


def steps(options: Options) -> int:
    return 1 + 2 * _turns(options)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    """Raises VerificationFailed if the ledger is not sound."""
    count = options.verified_entries
    bench = make_house(folder / "verify")
    tick(f"making {count} entries")
    made_s = uvloop.run(_made_s(bench, count))
    path, keys = bench.settings.ledger.store, load_keys(bench.settings.ledger.keys)
    every = PublicKeys(keys.log.verifier, (keys.gateway.verifier,))
    turns = []
    for _ in range(_turns(options)):
        tick("verifying, with signatures")
        with_signatures = _verified_s(path, every, count)
        tick("verifying the tree")
        turns.append((with_signatures, _verified_s(path, PublicKeys(every.log), count)))
    all_s, tree_s = median_of(turns)
    rows = (
        _row("verified, with all signatures", count, all_s),
        _row("verified, the tree alone", count, tree_s),
        _row("made", count, made_s),
    )
    return Table("verify", "Verifying a ledger", NOTE, COLUMNS, rows)


async def _made_s(bench: BenchHouse, count: int) -> float:
    """Seconds for sealing and appending so many entries."""
    async with open_walk(bench) as walk:
        draft = await walk.draft_of_read()
        start = time.perf_counter()
        for done in range(0, count, BATCH):
            batch = [walk.sealed(draft, now_ms()) for _ in range(min(BATCH, count - done))]
            await walk.house.ledger.append(batch)
        return time.perf_counter() - start


def _verified_s(path: Path, keys: PublicKeys, count: int) -> float:
    reader = SqliteReader(path)
    try:
        with quiet_collector():
            start = time.perf_counter()
            verified = verify_store(reader, keys)
            taken = time.perf_counter() - start
    finally:
        reader.close()
    if verified.size < count:
        raise VerificationFailed(f"ledger: {count} entries were made, {verified.size} are there")
    return taken


def _turns(options: Options) -> int:
    return min(options.turns, TURNS)


def _row(what: str, count: int, seconds: float) -> tuple[str | float, ...]:
    return what, count, count / seconds, seconds * 1e6 / count
