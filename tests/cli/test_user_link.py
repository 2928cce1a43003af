"""Accounts at a provider from the command line: linked to people, shown, unlinked."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.auth.people.registry import TABLES
from gateway.auth.store.database import Database
from gateway.auth.store.passkeys import Passkey
from tests.cli.support import Place

PROVIDERS = """
[[login_providers]]
name = "hospital"
title = "St Example"
issuer = "https://idp.example"
client_id = "gateway"
client_secret = "s3cret"

[[login_providers]]
name = "city"
title = "City"
issuer = "https://city.example"
client_id = "gateway"
client_secret = "s3cret"
subject_claim = "email"
"""


@pytest.fixture
def peopled(made: Place) -> Place:
    """A gateway with two people, who have no password, and two providers."""
    made.config.write_text(made.config.read_text() + PROVIDERS)
    made.good("user", "add", "anna", "--name", "Anna Ek", "--user", "Patient/pat-a", "--no-password")
    made.good("user", "add", "bo", "--name", "Bo Berg", "--no-password")
    return made


def link(subject: str = "user-1", provider: str = "hospital", login: str = "anna") -> tuple[str, ...]:
    return ("user", "link", login, "--provider", provider, "--subject", subject)


def test_a_person_without_a_password_is_shown_as_that(peopled: Place) -> None:
    assert peopled.good("user", "show", "anna") == "anna: Anna Ek, Patient/pat-a, no password\n"
    assert peopled.json("user", "show", "anna")["password"] is False


def test_a_password_and_none_is_too_much(made: Place, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse battery")
    done = made.run("user", "add", "anna", "--name", "Anna", "--no-password", "--password-file", str(file))
    assert done.exit_code == 2
    assert "not both" in done.stderr


def test_an_account_is_linked_and_shown(peopled: Place) -> None:
    told = peopled.json(*link())
    [linked] = told["links"]
    assert linked.pop("linked").endswith("Z")
    assert linked == {"issuer": "https://idp.example", "claim": "sub", "subject": "user-1"}
    assert peopled.good(*link("anna@example.org", "city")) == (
        "anna:\n  logs in at https://city.example as email anna@example.org\n"
        "  logs in at https://idp.example as sub user-1\n"
    )
    shown = peopled.good("user", "show", "anna").splitlines()[1:]
    assert shown == [
        "  logs in at https://city.example as email anna@example.org",
        "  logs in at https://idp.example as sub user-1",
    ]
    assert len(peopled.json("user", "show", "anna")["links"]) == 2


def test_linking_twice_is_once(peopled: Place) -> None:
    peopled.good(*link())
    assert len(peopled.json(*link())["links"]) == 1


def test_an_account_is_one_person_s(peopled: Place) -> None:
    peopled.good(*link())
    said = peopled.refused(*link(login="bo"))
    assert "another person's" in said
    assert peopled.json("user", "show", "bo")["links"] == []


def test_an_account_is_unlinked(peopled: Place) -> None:
    peopled.good(*link())
    again = ("user", "unlink", *link()[2:])
    assert peopled.good(*again) == "anna: nothing\n"
    assert "not linked" in peopled.refused(*again)
    peopled.good(*link(login="bo"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (link(provider="none"), "no provider of this name"),
        (link(login="nobody"), "no person with this login name"),
        (link(subject=""), "The subject"),
        (link(subject="ä"), "The subject"),
        (("user", "unlink", *link(login="bo")[2:]), "not linked"),
    ],
    ids=["provider", "person", "empty", "letter", "unlink"],
)
def test_what_cannot_be_linked(peopled: Place, arguments: tuple[str, ...], said: str) -> None:
    assert said in peopled.refused(*arguments)


def test_the_configuration_s_check_reads_a_provider_s_key(peopled: Place) -> None:
    key = peopled.folder / "key.json"
    text = peopled.config.read_text()
    peopled.config.write_text(text.replace('client_secret = "s3cret"', 'client_key = "key.json"', 1))
    for bad in ("", "[]", '{"kty":"oct","k":"AAAA"}', '{"kty":"RSA","n":1}'):
        key.write_text(bad)
        done = peopled.run("check-config")
        assert done.exit_code == 2
        assert "login_providers: the key" in done.stderr
        assert "AAAA" not in done.stderr
    peopled.config.write_text(text)
    assert "log-in at St Example: https://idp.example\n" in peopled.good("check-config")


def test_passkeys_are_shown_and_all_taken_away_at_once(peopled: Place) -> None:
    person = peopled.json("user", "show", "anna")["id"]
    key = {"person": person, "data": b"", "count": 0, "created_s": 1_800_000_000}
    database = Database(peopled.folder / "auth.db", TABLES)
    database.run_now(
        lambda session: session.add_all(
            [Passkey(id=b"1", name="Phone", **key), Passkey(id=b"2", name="Key", used_s=1_800_000_060, **key)]
        )
    )
    database.close()
    assert peopled.good("user", "show", "anna").splitlines()[1:] == [
        "  has the passkey Phone, added 2027-01-15T08:00:00Z, never used",
        "  has the passkey Key, added 2027-01-15T08:00:00Z, last used 2027-01-15T08:01:00Z",
    ]
    assert peopled.json("user", "show", "anna")["passkeys"][0] == {
        "id": "MQ", "name": "Phone", "added": "2027-01-15T08:00:00Z", "used": None,
    }  # fmt: skip
    assert peopled.json("user", "reset-passkeys", "anna")["passkeys"] == []
    assert peopled.json("user", "show", "anna")["passkeys"] == []
    assert "no person" in peopled.refused("user", "reset-passkeys", "nobody")
