"""The tables `[[studies]]`: what is taken, and what an operator reads about what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.house import roles_not_for_studies, studies_of
from tests.config.files import LEAST, problems, read

GOOD: dict[str, Any] = {
    "id": "heart",
    "clients": ["heart-app", "other-app@https://idp.example"],
    "codes": ["http://loinc.org|8480-6", "http://snomed.info/sct|38341003"],
    "until": "2026-05-01",
}


def table(**more: Any) -> str:
    values = {name: value for name, value in {**GOOD, **more}.items() if value is not None}
    return "\n".join(
        ["[[studies]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""]
    )


def test_a_study(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST + table())
    [study] = settings.studies
    assert (study.dates, study.role) == ("shift", "researcher")
    [made] = studies_of(settings, bytes(32), settings.upstreams[0])
    assert made.until.isoformat() == "2026-05-01T00:00:00+00:00"
    assert made.codes[0] == ("http://loinc.org", "8480-6")
    assert made.clients == {"heart-app", "other-app@https://idp.example"}
    assert read(tmp_path, LEAST).studies == ()


def test_each_upstream_has_its_own_pseudonyms(tmp_path: Path) -> None:
    second = LEAST[LEAST.index("[[upstreams]]") :].replace('"main"', '"second"').replace('"/fhir"', '"/r4"')
    settings = read(tmp_path, LEAST + second + table())
    keys = {
        studies_of(settings, kek, each)[0].pseudonyms.key
        for kek in (bytes(32), b"k" * 32)
        for each in settings.upstreams
    }
    assert len(keys) == 4


def test_by_the_environment(tmp_path: Path) -> None:
    environ = {
        f"CONSENTRY_STUDIES__0__{name.upper()}": value
        for name, value in {
            "id": "heart",
            "clients": "heart-app",
            "codes": "http://loinc.org|1-8,http://loinc.org|2-6",
            "until": "2026-05-01",
        }.items()
    }
    [study] = read(tmp_path, LEAST, **environ).studies
    assert study.codes == ("http://loinc.org|1-8", "http://loinc.org|2-6")


CODES = "write a list of 1 to 1000 codes, each once, each a system, a bar and a code"
CLIENTS = "write a list of ids of clients, each once"
UNTIL = 'write a day, such as "2026-07-01", or an instant with its zone'
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"id": None}, "studies[0].id: is missing"),
    "an id with a slash": ({"id": "a/b"}, "studies[0].id: write up to 32"),
    "no client": ({"clients": []}, CLIENTS),
    "a client that is a text": ({"clients": "heart-app"}, CLIENTS),
    "a client twice": ({"clients": ["a", "a"]}, CLIENTS),
    "a client of no issuer": ({"clients": ["a@"]}, CLIENTS),
    "a client with a space": ({"clients": ["a b"]}, CLIENTS),
    "no codes": ({"codes": []}, CODES),
    "a code without a system": ({"codes": ["8480-6"]}, CODES),
    "a system without a code": ({"codes": ["http://loinc.org|"]}, CODES),
    "a code with two bars": ({"codes": ["http://loinc.org|1|2"]}, CODES),
    "a code twice": ({"codes": ["a|b", "a|b"]}, CODES),
    "too many codes": ({"codes": [f"http://loinc.org|{n}-1" for n in range(1001)]}, CODES),
    "no day": ({"until": None}, "studies[0].until: is missing"),
    "a month": ({"until": "2026-05"}, UNTIL),
    "no such day": ({"until": "2026-02-30"}, UNTIL),
    "an instant without a zone": ({"until": "2026-05-01T10:00:00"}, UNTIL),
    "a prefix": ({"until": "lt2026-05-01"}, UNTIL),
    "words": ({"until": "tomorrow"}, UNTIL),
    "other dates": ({"dates": "month"}, "write one of shift, year"),
    "no role": ({"role": "../r"}, "write the name of a role"),
    "what is not there": ({"roles": ["a"]}, "studies[0].roles: there is no such setting"),
}


@pytest.mark.parametrize("row", BAD)
def test_what_is_not_taken(tmp_path: Path, row: str) -> None:
    more, expected = BAD[row]
    assert any(expected in line for line in problems(tmp_path, LEAST + table(**more)))


@pytest.mark.parametrize("until", ["2026-05-01T10:00:00Z", "2026-05-01T10:00:00.5+02:00"])
def test_instants_are_taken(tmp_path: Path, until: str) -> None:
    assert read(tmp_path, LEAST + table(until=until)).studies[0].until == until


@pytest.mark.parametrize(
    ("clients", "taken"),
    [
        (["third-app"], True),
        (["heart-app"], False),
        (["heart-app@https://idp.example"], False),
        (["other-app"], False),
        (["other-app@https://other.example"], False),
    ],
)
def test_a_client_is_in_one_study(tmp_path: Path, clients: list[str], taken: bool) -> None:
    text = LEAST + table() + table(id="lung", clients=clients)
    if taken:
        assert len(read(tmp_path, text).studies) == 2
    else:
        assert "studies[1].clients: leave out the client that is in another" in problems(tmp_path, text)[1]


def test_two_of_one_name(tmp_path: Path) -> None:
    found = problems(tmp_path, LEAST + table() + table(clients=["third-app"]))
    assert "studies[1].id: choose another" in found[1]


@pytest.mark.parametrize(("role", "good"), [("researcher", True), ("clinician", False), ("nobody", False)])
def test_the_role_of_a_study_is_for_studies(tmp_path: Path, role: str, good: bool) -> None:
    settings: Settings = read(tmp_path, LEAST + table(role=role))
    assert ([*roles_not_for_studies(settings)] == []) == good
    if not good:
        with pytest.raises(ConfigError, match="has no transform"):
            studies_of(settings, bytes(32), settings.upstreams[0])
