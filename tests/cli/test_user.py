"""People from the command line: added, changed, shown; passwords never on it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.cli.support import Place

PASSWORD = "correct horse battery"


@pytest.fixture
def password(tmp_path: Path) -> str:
    """The path of a file with one."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\nnot this line\n")
    return str(file)


@pytest.fixture
def peopled(made: Place, password: str) -> Place:
    """A gateway with one person."""
    made.good(
        "user", "add", "anna", "--name", "Anna Ek", "--user", "Patient/pat-a", "--password-file", password
    )
    return made


def _typed(place: Place, text: str, *arguments: str) -> tuple[int, str]:
    environment = {"CONSENTRY_CONFIG": str(place.config)}
    done = CliRunner().invoke(main, arguments, input=text, env=environment, prog_name="consentry")
    return done.exit_code, done.stderr


def test_a_person_is_added_and_shown(made: Place, password: str) -> None:
    added = made.json(
        "user", "add", "Bo", "--name", "Bo Berg", "--user", "Practitioner/prac-1", "--role", "physician",
        "--organization", "org-1", "--password-file", password,
    )  # fmt: skip
    assert {name: added[name] for name in ("login", "name", "user", "role", "organization")} == {
        "login": "Bo",
        "name": "Bo Berg",
        "user": "Practitioner/prac-1",
        "role": "physician",
        "organization": "Organization/org-1",
    }
    assert (added["second_factor"], added["disabled"], added["authorities"]) == (False, False, [])
    assert made.json("user", "show", "bo") == {**added, "links": [], "passkeys": []}
    assert made.json("user", "list") == {"people": [added]}
    assert made.good("user", "list") == (
        "Bo: Bo Berg, Practitioner/prac-1, physician, Organization/org-1, password\n"
    )
    assert stat.S_IMODE((made.folder / "auth.db").stat().st_mode) == 0o600


def test_a_password_is_typed_twice_or_read(made: Place) -> None:
    add = ("user", "add", "anna", "--name", "Anna")
    assert _typed(made, f"{PASSWORD}\n{PASSWORD}\n", *add)[0] == 0
    assert _typed(made, PASSWORD, "user", "passwd", "anna", "--password-file", "-") == (0, "")
    status, said = _typed(made, "short\nshort\n", "user", "passwd", "anna")
    assert (status, "at least 12 characters" in said) == (2, True)
    assert PASSWORD not in said


def test_no_option_takes_a_password(made: Place) -> None:
    assert "No such option" in made.refused("user", "add", "anna", "--name", "A", "--password", PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("anna", "--name", "Anna"), "already"),
        (("an na", "--name", "Anna"), "login name"),
        (("eva", "--name", ""), "one line"),
        (("eva", "--name", "Eva", "--user", "eva"), "FHIR reference"),
        (("eva", "--name", "Eva", "--user", "Observation/o"), "is one of"),
        (("eva", "--name", "Eva", "--user", "Patient/a/b"), "FHIR reference"),
        (("eva", "--name", "Eva", "--organization", "Patient/a"), "FHIR reference"),
        (("correct horse battery"[:7] + "x" * 60, "--name", "Eva"), "login name"),
    ],
    ids=["taken", "login", "name", "no reference", "no person", "a path", "organisation", "long"],
)
def test_who_cannot_be_is_refused_in_one_line(
    peopled: Place, password: str, arguments: tuple[str, ...], said: str
) -> None:
    assert said in peopled.refused("user", "add", *arguments, "--password-file", password)
    assert len(peopled.json("user", "list")["people"]) == 1


def test_a_second_factor_is_told_once(peopled: Place) -> None:
    given = peopled.json("user", "totp", "anna")
    assert given["uri"].startswith("otpauth://totp/")
    assert given["secret"] in given["uri"]
    shown = peopled.good("user", "show", "anna", "--json")
    assert json.loads(shown)["second_factor"] is True
    assert given["secret"] not in shown
    assert given["secret"] not in peopled.good("user", "totp", "anna")
    assert peopled.json("user", "totp", "anna", "--off")["second_factor"] is False


def test_a_person_is_kept_out_and_let_in(peopled: Place) -> None:
    assert "disabled" in peopled.good("user", "disable", "anna")
    assert peopled.json("user", "show", "ANNA")["disabled"] is True
    assert "disabled" not in peopled.good("user", "enable", "anna")


def test_an_authority_is_recorded_and_ended(peopled: Place) -> None:
    allow = (
        "user",
        "allow",
        "anna",
        "--patient",
        "child-1",
        "--relationship",
        "MTH",
        "--until",
        "2040-01-01",
    )
    made = peopled.json(*allow)
    assert (made["until"], made["recorded_by"], made["in_force"]) == (
        "2040-01-01T23:59:59Z",
        "operator",
        True,
    )
    assert "acts for Patient/child-1 as mother until 2040-01-01T23:59:59Z" in peopled.good(
        "user", "show", "anna"
    )
    ended = peopled.json("user", "disallow", made["id"])
    assert (ended["in_force"], ended["ended"] is None) == (False, False)
    assert peopled.json("user", "disallow", made["id"]) == ended
    assert ", over" in peopled.good("user", "show", "anna")
    begun, over = (
        peopled.json("ledger", "entry", str(index)) for index in (made["entry"], ended["end_entry"])
    )
    assert (begun["kind"], over["kind"], over["facts"]["prv"]) == (
        "authority.grant",
        "authority.end",
        [made["entry"], made["hash"]],
    )
    assert (begun["facts"]["pat"], begun["facts"]["who"], begun["facts"]["rel"]) == (
        "Patient/child-1",
        "Patient/pat-a",
        "MTH",
    )
    assert peopled.json("user", "show", "anna")["authorities"] == [ended]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--until": "2001-01-01"}, "in the future"),
        ({"--until": "2140-01-01"}, "within 20 years"),
        ({"--until": "soon"}, "is a date"),
        ({"--relationship": "friend"}, "--relationship"),
        ({"--patient": "Patient/x"}, "FHIR id"),
        ({"--born": "1.2.2035"}, "birth date"),
        ({"--born": "1990-02-01"}, "of age"),
    ],
    ids=str,
)
def test_an_authority_that_cannot_be_is_refused(peopled: Place, changed: dict[str, str], said: str) -> None:
    given = {"--patient": "child-1", "--relationship": "MTH", "--until": "2040-01-01", **changed}
    words = [word for pair in given.items() for word in pair]
    assert said in peopled.refused("user", "allow", "anna", *words)


def test_a_mothers_authority_ends_where_her_childs_majority_may_begin(peopled: Place) -> None:
    allow = ("user", "allow", "anna", "--patient", "child-2", "--until", "2040-01-01", "--born", "2015-05-17")
    made = peopled.json(*allow, "--relationship", "MTH")
    assert made["until"] == "2033-05-16T09:59:59Z"
    assert peopled.json(*allow, "--relationship", "POWATT")["until"] == "2040-01-01T23:59:59Z"


@pytest.mark.parametrize("command", ["show", "passwd", "totp", "disable", "enable"])
def test_nobody_is_found_under_another_name(peopled: Place, command: str) -> None:
    assert "no person with this login name" in peopled.refused("user", command, "eva")


def test_an_authority_that_is_not_there_is_not_ended(peopled: Place) -> None:
    assert "no such authority" in peopled.refused("user", "disallow", "x")


def test_without_keys_there_are_no_people(bare: Place) -> None:
    assert "keys init" in bare.refused("user", "list")
    assert not (bare.folder / "auth.db").exists()


def test_an_empty_list_says_so(made: Place) -> None:
    assert made.good("user", "list") == "There is nobody yet.\n"
