"""The records of the run are as large as the report says, and every resource is marked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import mapping
from gateway.bench.records import ENCOUNTERS, MARK, PATIENT, Template, encounters, observations, patient
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.facts import facts_of

UPSTREAM = "http://127.0.0.1:40000/new"
BASES = Bases("http://127.0.0.1:8080/new", UPSTREAM)
SIZES = {0: (1_900, 2_100), 50: (58_000, 66_000), 1000: (2_900_000, 3_300_000)}


def body(count: int, *, named_encounters: bool = False) -> bytes:
    marked = observations(count, UPSTREAM, named_encounters=named_encounters) if count else patient()
    return Template(marked).numbered(7)


def resources(page: bytes) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(page)["entry"]]


@pytest.mark.parametrize("count", SIZES)
def test_sizes(count: int) -> None:
    smallest, largest = SIZES[count]
    assert smallest <= len(body(count)) <= largest


@pytest.mark.parametrize("count", [50, 1000])
def test_every_resource_is_marked_and_numbered(count: int) -> None:
    page = observations(count, UPSTREAM, named_encounters=False)
    assert page.count(MARK) == count
    assert {r["meta"]["versionId"] for r in resources(Template(page).numbered(7))} == {"00000007"}
    assert len({r["id"] for r in resources(Template(page).numbered(7))}) == count


@pytest.mark.parametrize("named", [True, False])
def test_only_a_named_encounter_has_to_be_looked_up(named: bool) -> None:
    for resource in resources(body(50, named_encounters=named)):
        facts = facts_of(json.dumps(resource).encode(), mapping.load_catalogue("R4"), BASES)
        assert facts.owners == {PATIENT}
        assert [mention.target is not None for mention in facts.mentions] == [True] * named


def test_the_encounters_that_are_named_are_there() -> None:
    found = {f"Encounter/{r['id']}" for r in resources(Template(encounters(UPSTREAM)).numbered(1))}
    assert len(found) == ENCOUNTERS
    assert {r["encounter"]["reference"] for r in resources(body(50, named_encounters=True))} == found
