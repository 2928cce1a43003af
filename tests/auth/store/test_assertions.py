"""An assertion's `jti` is new once for each client, and forgotten when its time is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from gateway.auth.clients.registry import SWEEP_EVERY_S, Clients
from gateway.auth.store.assertions import LINGER_S, TABLES, UsedAssertion, first_use, sweep
from gateway.auth.store.database import Database

NOW_S = 1_800_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "auth.db", TABLES)
    yield made
    made.close()


def use(database: Database, client: str, jti: str, exp_s: int = NOW_S + 300, now_s: int = NOW_S) -> bool:
    return database.run_now(lambda session: first_use(session, client, jti, exp_s, now_s))


def kept(database: Database) -> list[str]:
    return database.run_now(lambda session: [*session.exec(select(UsedAssertion.jti))])


def test_the_first_use_is_the_only_one(database: Database) -> None:
    assert use(database, "svc", "j")
    assert not use(database, "svc", "j")
    assert not use(database, "svc", "j", exp_s=NOW_S + 60, now_s=NOW_S + 10)


def test_each_client_has_its_own(database: Database) -> None:
    assert all(use(database, client, jti) for client in ("svc", "svc-2") for jti in ("j", "J", "j "))


def test_it_is_remembered_in_another_connection(database: Database, tmp_path: Path) -> None:
    assert use(database, "svc", "j")
    other = Database(tmp_path / "auth.db", TABLES)
    assert not use(other, "svc", "j")
    other.close()


@pytest.mark.parametrize(("later_s", "left"), [(300, True), (300 + LINGER_S, True), (301 + LINGER_S, False)])
def test_it_is_forgotten_when_it_has_been_over_for_a_while(
    database: Database, later_s: int, left: bool
) -> None:
    assert use(database, "svc", "old")
    assert use(database, "svc", "new", NOW_S + 1000, NOW_S + later_s)
    database.run_now(lambda session: sweep(session, NOW_S + later_s))
    assert kept(database) == (["new", "old"] if left else ["new"])
    assert not use(database, "svc", "new", NOW_S + 1000, NOW_S + later_s)


async def test_whoever_uses_them_forgets_them_now_and_then(database: Database) -> None:
    """As many stay as come in the time between, whatever comes."""
    clients = Clients(database)
    ends_s = NOW_S + LINGER_S + 301
    for now_s, jti in ((NOW_S, "old"), (ends_s - 1, "a"), (ends_s, "b")):
        assert await clients.first_use("svc", jti, now_s + 300, now_s)
    assert kept(database) == ["a", "b", "old"], "they were looked at a second ago"
    assert await clients.first_use("svc", "c", ends_s + 1000, ends_s - 1 + SWEEP_EVERY_S)
    assert kept(database) == ["a", "b", "c"]
    assert not await clients.first_use("svc", "a", ends_s + 299, ends_s + SWEEP_EVERY_S)
