"""Requests that wait: whose they are, how long, and that they are decided once, whichever process asks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.auth.people.registry import TABLES
from gateway.auth.store import requests, sessions
from gateway.auth.store.database import Database
from gateway.auth.store.people import Account
from gateway.auth.store.requests import PendingRequest
from gateway.auth.store.sessions import BrowserSession

T = 1_790_000_000
ID = b"r" * 32


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "auth.db", (*TABLES, *requests.TABLES))
    made.run_now(lambda db: db.add(Account(id="p", login="p", password="x", name="P", created_s=T)))
    for name in ("one", "two"):
        made.run_now(lambda db, name=name: db.add(_session(name)))  # type: ignore[misc]
    yield made
    made.close()


def _session(name: str) -> BrowserSession:
    return BrowserSession(
        digest=name.encode(), id=name, person="p", factor="pwd", pending=False,
        created_s=T, seen_s=T, exp_s=T + 12 * 3600,
    )  # fmt: skip


def add(database: Database, digest: bytes = ID, at_s: int = T) -> None:
    made = PendingRequest(
        digest=digest, client="app", redirect_uri="https://app.example/cb", scope="patient/*.rs",
        base="https://gw.example/fhir", challenge="x", created_s=at_s, exp_s=at_s + requests.WAITS_S,
    )  # fmt: skip
    database.run_now(lambda db: requests.add_request(db, made))


def opened(database: Database, login: str, at_s: int = T) -> bool:
    return database.run_now(lambda db: requests.open_request(db, ID, login, at_s)) is not None


def claimed(database: Database, login: str, at_s: int = T) -> bool:
    return database.run_now(lambda db: requests.claim_request(db, ID, login, at_s))


def chosen(database: Database, login: str, patient: str | None) -> bool:
    return database.run_now(lambda db: requests.choose_patient(db, ID, login, patient, T))


def test_an_encounter_is_the_chosen_patients(database: Database) -> None:
    def choose(login: str, encounter: str | None) -> bool:
        return database.run_now(lambda db: requests.choose_encounter(db, ID, login, encounter, T))

    def encounter() -> str | None:
        return database.run_now(lambda db: db.get_one(requests.PendingRequest, ID).encounter)

    add(database)
    opened(database, "one")
    assert not choose("two", "enc-1")
    assert chosen(database, "one", "pat-a")
    assert choose("one", "enc-1")
    assert encounter() == "enc-1"
    assert chosen(database, "one", "pat-b")
    assert encounter() is None
    assert choose("one", "")
    assert encounter() == ""
    assert claimed(database, "one")
    assert not choose("one", "enc-1")


def test_it_is_of_the_session_that_opened_it(database: Database) -> None:
    add(database)
    assert not claimed(database, "one")
    assert opened(database, "one")
    assert not opened(database, "two")
    assert not claimed(database, "two")
    assert not chosen(database, "two", "pat-a")
    assert chosen(database, "one", "pat-a")
    assert claimed(database, "one")


def test_it_goes_to_another_session_when_the_first_has_ended(database: Database) -> None:
    add(database)
    assert opened(database, "one")
    assert chosen(database, "one", "pat-a")
    database.run_now(lambda db: sessions.end_session(db, b"one", T))
    assert opened(database, "two")
    assert not claimed(database, "one")
    found = database.run_now(lambda db: requests.waiting_request(db, ID, T))
    assert found is not None
    assert found.patient is None


def test_it_is_claimed_once(database: Database, tmp_path: Path) -> None:
    add(database)
    assert opened(database, "one")
    others = [Database(tmp_path / "auth.db", requests.TABLES) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda other: claimed(other, "one"), others))
    assert sorted(done) == [False, False, False, True]
    assert not opened(database, "one")
    for other in others:
        other.close()


def test_a_claim_can_be_taken_back(database: Database) -> None:
    add(database)
    assert opened(database, "one")
    assert claimed(database, "one")
    database.run_now(lambda db: requests.reopen_request(db, ID))
    assert claimed(database, "one")
    assert not claimed(database, "one")


@pytest.mark.parametrize(("after_s", "lasts"), [(requests.WAITS_S - 1, True), (requests.WAITS_S, False)])
def test_it_lasts_its_time(database: Database, after_s: int, lasts: bool) -> None:
    add(database)
    assert (database.run_now(lambda db: requests.waiting_request(db, ID, T + after_s)) is not None) is lasts
    assert opened(database, "one", T + after_s) is lasts
    assert claimed(database, "one", T + after_s) is lasts


def test_looking_at_it_makes_it_last_but_not_for_ever(database: Database) -> None:
    add(database)
    at_s = T
    while at_s < T + requests.LONGEST_S:
        assert opened(database, "one", at_s)
        at_s += requests.WAITS_S - 1
    assert not opened(database, "one", T + requests.LONGEST_S)


def test_those_that_are_over_are_removed(database: Database) -> None:
    add(database)
    add(database, b"s" * 32, T + requests.WAITS_S)
    assert database.run_now(lambda db: db.get(PendingRequest, ID)) is None
    assert database.run_now(lambda db: db.get(PendingRequest, b"s" * 32)) is not None
