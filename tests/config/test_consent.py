"""The section `[consent]`: what it takes, from file and environment, and what it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.consent.rules import Implicit
from gateway.errors import ConfigError
from gateway.house import reading_of
from tests.config.files import LEAST, problems, read

SAID = """\
[consent]
implicit = "basic-normal"
nesting = "contain"
custodians = ["ward"]
legal_hold = ["LITIGATION"]

[consent.part_of]
ward = "house"

[consent.groups]
"group:night" = ["practitioner:ann", "organization:ward"]
"careteam:c" = []
"""


def test_unsaid_nothing_is_implied_and_exceptions_inherit(tmp_path: Path) -> None:
    rules, membership = reading_of(read(tmp_path, LEAST))
    assert (rules.implicit, rules.contained, rules.custodians) == (Implicit.BREAK_GLASS_ONLY, False, None)
    assert membership.closed(frozenset({"organization:ward"})) == {"organization:ward"}


def test_what_is_said_is_how_consents_are_read(tmp_path: Path) -> None:
    rules, membership = reading_of(read(tmp_path, LEAST + SAID))
    assert (rules.implicit, rules.contained) == (Implicit.BASIC_NORMAL, True)
    assert rules.custodians == frozenset({"organization:ward", "organization:house", "group:night"})
    assert rules.holds == {"LITIGATION"}
    assert membership.closed(frozenset({"practitioner:ann"})) == {"practitioner:ann", "group:night"}


def test_tables_come_from_the_environment_as_json(tmp_path: Path) -> None:
    path = tmp_path / "consentry.toml"
    path.write_text(LEAST)
    settings = load(
        path,
        {
            "CONSENTRY_CONSENT__PART_OF": '{"ward": "house"}',
            "CONSENTRY_CONSENT__CUSTODIANS": "ward, lab",
            "CONSENTRY_CONSENT__GROUPS": '{"group:g": ["role:clinician"]}',
        },
    )
    assert settings.consent.part_of == {"ward": "house"}
    assert settings.consent.custodians == ("ward", "lab")
    assert settings.consent.groups == {"group:g": frozenset({"role:clinician"})}


@pytest.mark.parametrize(("said", "seconds"), [("", 60), ("case_kept = 0", 0), ("case_kept = 3600", 3600)])
def test_how_long_a_case_is_kept(tmp_path: Path, said: str, seconds: int) -> None:
    assert read(tmp_path, f"{LEAST}[consent]\n{said}\n").consent.case_kept == seconds


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("implicit", '"allow"', "write one of deny, break-glass-only, basic-normal, all-normal"),
        ("implicit", '"all_normal"', "write one of deny"),
        ("nesting", '"strict"', "write one of inherit, contain"),
        ("case_kept", "-1", "write a whole number from 0 to 3600"),
        ("case_kept", "3601", "write a whole number from 0 to 3600"),
        ("case_kept", "true", "write a whole number from 0 to 3600"),
        ("case_kept", '"1m"', "write a whole number from 0 to 3600"),
        ("custodians", '"ward"', "write a list of ids of organisations"),
        ("custodians", '["ward", "ward"]', "write a list of ids of organisations"),
        ("custodians", '["Organization/ward"]', "write a list of ids of organisations"),
        ("legal_hold", '["two words"]', "write a list of codes of labels"),
        ("legal_hold", "[1]", "write a list of codes of labels"),
        ("part_of", '"ward"', "write for each organisation"),
        ("part_of", '{ward = ["house"]}', "write for each organisation"),
        ("part_of", '{ward = "Organization/house"}', "write for each organisation"),
        ("groups", '{night = ["practitioner:ann"]}', "write for each group"),
        ("groups", '{"practitioner:ann" = ["practitioner:bob"]}', "write for each group"),
        ("groups", '{"group:night" = "practitioner:ann"}', "write for each group"),
        ("groups", '{"group:night" = ["ann"]}', "write for each group"),
    ],
)
def test_what_is_not_taken(tmp_path: Path, name: str, value: str, expected: str) -> None:
    _, problem = problems(tmp_path, f"{LEAST}[consent]\n{name} = {value}\n")
    assert f"consent.{name}: {expected}" in problem


def test_a_variable_that_is_no_json_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "consentry.toml"
    path.write_text(LEAST)
    with pytest.raises(ConfigError, match="write for each group"):
        load(path, {"CONSENTRY_CONSENT__GROUPS": "group:g"})
