"""Passkeys and challenges as they are kept: counters that go on, challenges that count once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.auth.store import passkeys, people
from gateway.auth.store.database import Database
from gateway.auth.store.passkeys import MOST, Passkey
from gateway.auth.store.people import Account

NOW_S = 1_800_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "auth.db", (*people.TABLES, *passkeys.TABLES))
    both = [Account(id=each, login=each, password="", name=each, created_s=NOW_S) for each in ("anna", "bo")]
    made.run_now(lambda session: session.add_all(both))
    yield made
    made.close()


def key(ident: bytes = b"1", person: str = "anna", count: int = 0) -> Passkey:
    return Passkey(id=ident, person=person, name="Phone", data=b"", count=count, created_s=NOW_S)


def add(database: Database, made: Passkey) -> bool:
    return database.run_now(lambda session: passkeys.add_passkey(session, made))


def test_an_id_is_one_key_s(database: Database) -> None:
    assert add(database, key())
    assert not add(database, key(person="bo"))
    assert database.run_now(lambda session: passkeys.has_passkey(session, "anna"))
    assert not database.run_now(lambda session: passkeys.has_passkey(session, "bo"))


def test_a_person_has_so_many_at_most(database: Database) -> None:
    assert all(add(database, key(bytes([number]))) for number in range(MOST))
    assert not add(database, key(bytes([MOST])))
    assert add(database, key(bytes([MOST]), "bo"))


@pytest.mark.parametrize(
    ("kept", "shown", "goes_on"),
    [(0, 0, True), (0, 1, True), (1, 2, True), (1, 1, False), (2, 1, False), (1, 0, False)],
)
def test_a_counter_goes_on_or_is_none(kept: int, shown: int, goes_on: bool) -> None:
    one = key(count=kept)
    assert passkeys.count_use(one, shown, NOW_S) is goes_on
    assert (one.count, one.used_s) == ((shown, NOW_S) if goes_on else (kept, None))


def test_only_its_owner_s_key_is_removed(database: Database) -> None:
    add(database, key())
    add(database, key(b"2"))
    assert not database.run_now(lambda session: passkeys.remove_passkey(session, b"1", "bo"))
    assert database.run_now(lambda session: passkeys.remove_passkey(session, b"1", "anna"))
    assert not database.run_now(lambda session: passkeys.remove_passkey(session, b"1", "anna"))
    left = database.run_now(lambda session: passkeys.passkeys_of(session, "anna"))
    assert [each.id for each in left] == [b"2"]
    database.run_now(lambda session: passkeys.remove_passkeys_of(session, "anna"))
    assert not database.run_now(lambda session: passkeys.has_passkey(session, "anna"))


def test_a_challenge_counts_once_until_it_is_over(database: Database) -> None:
    def claim(digest: bytes, now_s: int) -> bool:
        return database.run_now(lambda session: passkeys.claim_challenge(session, digest, NOW_S + 300, now_s))

    assert claim(b"a", NOW_S)
    assert not claim(b"a", NOW_S + 299)
    assert claim(b"b", NOW_S)
    assert claim(b"a", NOW_S + 300)  # by then it is over for itself
