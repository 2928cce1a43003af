"""The synthetic people are what their script writes, are valid FHIR, and hold what the cases need."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

FIXTURES = Path(__file__).parents[2] / "fixtures"
PEOPLE = FIXTURES / "people"
RESOURCES: list[dict[str, Any]] = [
    r for p in sorted(PEOPLE.glob("*.json")) for r in json.loads(p.read_bytes())
]


def make(*arguments: str) -> int:
    return subprocess.run(
        [sys.executable, str(FIXTURES / "make.py"), *arguments], capture_output=True
    ).returncode


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    assert make("--check") == 0
    assert make(str(tmp_path)) == 0
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in PEOPLE.glob("*.json")}


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    for path in PEOPLE.glob("*.json"):
        shutil.copy(path, tmp_path)
    changed = tmp_path / "observations.json"
    changed.write_bytes(changed.read_bytes().replace(b"7.10", b"7.1", 1))
    assert make("--check", str(tmp_path)) == 1


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r['resourceType']}/{r['id']}")
def test_valid(resource: dict[str, Any]) -> None:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_ids_are_unique_and_references_lead_somewhere() -> None:
    places = [f"{r['resourceType']}/{r['id']}" for r in RESOURCES]
    assert len(places) == len(set(places))
    found = set(_references(RESOURCES))
    assert found - set(places) == {
        "#inside",
        "https://other-hospital.example/fhir/Patient/pat-a",
        "https://other-hospital.example/fhir/Practitioner/prac-gp",
    }


def test_what_the_cases_need() -> None:
    texts = b"".join(path.read_bytes() for path in PEOPLE.glob("*.json"))
    for number in (b":7.10,", b":1.50E+3,", b":8e-3,", b":3.141592653589793238462643383279502884197,"):
        assert number in texts
    of_ann = [r for r in RESOURCES if r.get("subject", {}).get("reference") == "Patient/pat-a"]
    assert sum(r["resourceType"] == "Observation" for r in of_ann) >= 120
    labelled = {
        r["id"] for r in RESOURCES if any(c["code"] == "HIV" for c in r.get("meta", {}).get("security", []))
    }
    assert labelled == {"cond-a-hiv", "obs-a-exponent"}


def _references(tree: object) -> list[str]:
    if isinstance(tree, list):
        return [found for inner in tree for found in _references(inner)]
    if isinstance(tree, dict):
        own = [tree["reference"]] if isinstance(tree.get("reference"), str) else []
        return own + _references(list(tree.values()))
    return []
