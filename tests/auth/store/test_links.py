"""Accounts at providers: each is one person's, by the name that its provider's claim gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session

from gateway.auth.store import links, people
from gateway.auth.store.database import Database
from gateway.auth.store.links import Named
from gateway.auth.store.people import Account

NOW_S = 1_800_000_000
NAMED = Named("https://idp.example", "sub", "user-1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """With Anna and Bo, who is the resource that Cleo is too."""
    made = Database(tmp_path / "auth.db", (*people.TABLES, *links.TABLES))

    def add(session: Session) -> None:
        for login, user in (("anna", "Patient/a"), ("bo", "Practitioner/b"), ("cleo", "Practitioner/b")):
            session.add(Account(id=login, login=login, password="", name=login, user=user, created_s=NOW_S))

    made.run_now(add)
    yield made
    made.close()


def login_of(database: Database, named: Named) -> str | None:
    found = database.run_now(lambda session: links.linked(session, named))
    return None if found is None else found.login


def link(database: Database, person: str, named: Named = NAMED) -> bool:
    return database.run_now(lambda session: links.add_link(session, named, person, NOW_S))


def test_an_account_is_one_person_s(database: Database) -> None:
    assert link(database, "anna")
    assert link(database, "anna")
    assert not link(database, "bo")
    assert login_of(database, NAMED) == "anna"


@pytest.mark.parametrize(
    "other",
    [
        NAMED._replace(issuer="https://idp.example/"),
        NAMED._replace(claim="email"),
        NAMED._replace(subject="User-1"),
        NAMED._replace(subject="user-1 "),
    ],
)
def test_any_other_name_is_another_account(database: Database, other: Named) -> None:
    link(database, "anna")
    assert login_of(database, other) is None
    assert link(database, "bo", other)
    assert (login_of(database, NAMED), login_of(database, other)) == ("anna", "bo")


def test_only_its_person_s_link_is_removed(database: Database) -> None:
    link(database, "anna")
    assert not database.run_now(lambda session: links.remove_link(session, NAMED, "bo"))
    assert login_of(database, NAMED) == "anna"
    assert database.run_now(lambda session: links.remove_link(session, NAMED, "anna"))
    assert not database.run_now(lambda session: links.remove_link(session, NAMED, "anna"))
    assert login_of(database, NAMED) is None
    assert link(database, "bo")


def test_links_are_listed_by_person(database: Database) -> None:
    link(database, "anna")
    link(database, "anna", NAMED._replace(claim="email", subject="a@example.org"))
    link(database, "bo", NAMED._replace(subject="user-2"))
    found = database.run_now(lambda session: links.links_of(session, "anna"))
    assert [(each.claim, each.subject) for each in found] == [("email", "a@example.org"), ("sub", "user-1")]


@pytest.mark.parametrize(
    ("user", "login"), [("Patient/a", "anna"), ("Practitioner/b", None), ("Patient/b", None), ("", None)]
)
def test_a_resource_is_a_person_if_it_is_one_alone(database: Database, user: str, login: str | None) -> None:
    found = database.run_now(lambda session: links.by_user(session, user))
    assert (None if found is None else found.login) == login
