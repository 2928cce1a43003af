"""Log-ins under way at a provider: each comes back once, to its browser, from its provider, in its time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.auth.store import delegations
from gateway.auth.store.database import Database
from gateway.auth.store.delegations import LASTS_S, Delegation

NOW_S = 1_800_000_000
STATE, BROWSER = bytes(32), bytes([1] * 32)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "auth.db", delegations.TABLES)
    yield made
    made.close()


def add(database: Database, **changed: Any) -> None:
    usual = {
        "digest": STATE, "browser": BROWSER, "provider": "hospital", "next": "", "auth_after_s": 0,
        "created_s": NOW_S, "exp_s": NOW_S + LASTS_S,
    }  # fmt: skip
    made = Delegation(**{**usual, **changed})
    database.run_now(lambda session: delegations.add_delegation(session, made))


def claim(database: Database, **changed: Any) -> bool:
    usual = {"digest": STATE, "browser": BROWSER, "provider": "hospital", "now_s": NOW_S}
    given = {**usual, **changed}
    return database.run_now(lambda session: delegations.claim_delegation(session, **given)) is not None


def test_it_comes_back_once(database: Database) -> None:
    add(database)
    assert claim(database)
    assert not claim(database)


@pytest.mark.parametrize(
    "other",
    [
        {"digest": bytes([2] * 32)},
        {"browser": bytes([2] * 32)},
        {"provider": "city"},
        {"now_s": NOW_S + LASTS_S},
    ],
    ids=repr,
)
def test_anybody_else_s_attempt_uses_nothing_up(database: Database, other: dict[str, Any]) -> None:
    add(database)
    assert not claim(database, **other)
    assert claim(database, now_s=NOW_S + LASTS_S - 1)


def test_what_is_over_is_forgotten(database: Database) -> None:
    add(database)
    add(database, digest=bytes([3] * 32), created_s=NOW_S + LASTS_S, exp_s=NOW_S + 2 * LASTS_S)
    assert not claim(database)
    assert database.run_now(lambda session: session.get(Delegation, STATE)) is None
