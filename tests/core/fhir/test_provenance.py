"""Who made a record, from Provenance in the shapes of the releases: each reading beside its near misses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.provenance import agents_by_record, agents_of
from gateway.core.values import Ref
from tests.core.deciding import BASES
from tests.support.hospital import at

ANN, BOB, LAB = at("Practitioner/ann"), at("Practitioner/bob"), at("Organization/lab")
ONE, TWO = Ref("Observation", "1"), Ref("Observation", "2")

AGENTS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("one", {"agent": [{"who": ANN}]}, [ANN]),
    ("several", {"agent": [{"who": ANN}, {"who": BOB}]}, [ANN, BOB]),
    ("for somebody", {"agent": [{"who": ANN, "onBehalfOf": LAB}]}, [ANN, LAB]),
    ("with a type", {"agent": [{"type": {"text": "author"}, "role": [{}], "who": ANN}]}, [ANN]),
    ("who signed is none", {"agent": [{"who": ANN}], "signature": [{"who": BOB}]}, [ANN]),
    ("what it was made from", {"agent": [{"who": ANN}], "entity": [{"agent": [{"who": BOB}]}]}, [ANN]),
    ("by identifier", {"agent": [{"who": {"identifier": {"value": "7"}}}]}, [{"identifier": {"value": "7"}}]),
    ("without who", {"agent": [{"onBehalfOf": LAB}]}, [None, LAB]),
    ("an older release", {"agent": [{"whoReference": ANN}]}, [None]),
    ("masked", {"agent": [{"_who": {"extension": [{}]}}]}, [None]),
    ("null", {"agent": [{"who": None}, {"who": ANN}]}, [None, ANN]),
    ("no list", {"agent": {"who": ANN}}, [ANN]),
    ("words", {"agent": ["ann"]}, [None, None]),
    ("empty", {"agent": []}, [None, None]),
    ("none", {}, [None]),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "expected"), [case[1:] for case in AGENTS], ids=[c[0] for c in AGENTS])
def test_agents(resource: dict[str, Any], expected: list[Any]) -> None:
    assert agents_of({"resourceType": "Provenance", "id": "p", **resource}) == tuple(expected)


def by(who: Any, *targets: Any) -> dict[str, Any]:
    return {"resourceType": "Provenance", "id": "p", "target": list(targets), "agent": [{"who": who}]}


TO_ONE = at("Observation/1")
TARGETS: list[tuple[str, list[dict[str, Any]], list[Any], list[Any]]] = [
    ("none", [], [], []),
    ("of one", [by(ANN, TO_ONE)], [ANN], []),
    ("of both", [by(ANN, TO_ONE, at("Observation/2"))], [ANN], [ANN]),
    ("one each", [by(ANN, TO_ONE), by(BOB, at("Observation/2"))], [ANN], [BOB]),
    ("several of one", [by(ANN, TO_ONE), by(BOB, TO_ONE)], [ANN, BOB], []),
    ("of a version", [by(ANN, at("Observation/1/_history/3"))], [ANN], []),
    ("by our address", [by(ANN, at(f"{BASES.upstream}/Observation/1"))], [ANN], []),
    ("and another record", [by(ANN, TO_ONE, at("Observation/11"), at("Condition/2"))], [ANN], []),
    ("and one in words", [by(ANN, TO_ONE, {"display": "Observation 2"})], [ANN], []),
    ("and one by identifier", [by(ANN, TO_ONE, {"identifier": {"value": "2"}})], [ANN], []),
    ("and perhaps the other", [by(ANN, TO_ONE, at("http://x.example/Observation/2"))], [ANN], [None]),
    ("perhaps of one", [by(ANN, at("http://x.example/Observation/1"))], [None], []),
    ("of another", [by(ANN, at("Observation/11"))], [None], [None]),
    ("of another type", [by(ANN, at("Condition/1"))], [None], [None]),
    ("in words alone", [by(ANN, {"display": "Observation 1"})], [None], [None]),
    ("of nothing", [by(ANN)], [None], [None]),
    ("of a text", [by(ANN, "Observation/1")], [None], [None]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "one", "two"), [case[1:] for case in TARGETS], ids=[case[0] for case in TARGETS]
)
def test_agents_by_record(found: list[dict[str, Any]], one: list[Any], two: list[Any]) -> None:
    told = agents_by_record(found, {ONE, TWO}, BASES.both)
    assert told == {ONE: tuple(one), TWO: tuple(two)}


REFS = [Ref("Observation", str(n)) for n in range(4)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from(REFS), min_size=1)), max_size=5))
def test_what_is_said_of_a_record_does_not_hang_on_what_was_asked_beside_it(
    said: list[tuple[str, set[Ref]]],
) -> None:
    """A server answers for one record with those that name it, and for several with all of theirs."""
    made = [(by(at(f"Practitioner/{who}"), *(at(str(ref)) for ref in refs)), refs) for who, refs in said]
    together = agents_by_record([one for one, _ in made], set(REFS), BASES.both)
    for ref in REFS:
        alone = agents_by_record([one for one, refs in made if ref in refs], {ref}, BASES.both)
        assert alone[ref] == together[ref]
