"""Launch values: for one client and one base, once, and not for long."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.auth.people.registry import TABLES
from gateway.auth.store import launches
from gateway.auth.store.database import Database
from gateway.auth.store.launches import LASTS_S, Launch

T = 1_790_000_000
ID, BASE = b"l" * 32, "https://gw.example/fhir"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "auth.db", (*TABLES, *launches.TABLES))
    row = Launch(
        digest=ID,
        client="app",
        base=BASE,
        user="Practitioner/p",
        context="{}",
        created_s=T,
        exp_s=T + LASTS_S,
    )
    made.run_now(lambda db: launches.add_launch(db, row))
    yield made
    made.close()


def claim(
    database: Database, digest: bytes = ID, client: str = "app", base: str = BASE, at_s: int = T
) -> bool:
    return database.run_now(lambda db: launches.claim_launch(db, digest, client, base, at_s)) is not None


@pytest.mark.parametrize(
    "near",
    [
        {"digest": b"m" * 32},
        {"client": "App"},
        {"base": f"{BASE}/"},
        {"base": "https://gw.example/lab"},
        {"at_s": T + LASTS_S},
    ],
    ids=repr,
)
def test_a_near_miss_claims_nothing_and_uses_nothing_up(database: Database, near: dict[str, object]) -> None:
    assert not claim(database, **near)  # type: ignore[arg-type]
    assert claim(database, at_s=T + LASTS_S - 1)


def test_it_is_claimed_once_whichever_process_asks(database: Database, tmp_path: Path) -> None:
    others = [Database(tmp_path / "auth.db", launches.TABLES) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(claim, others)) == [False, False, False, True]
    for other in others:
        other.close()
