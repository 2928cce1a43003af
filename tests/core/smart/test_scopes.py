"""The scope grammar, row by row (fixtures/smart/scopes.json), and its two laws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.scopes import V1_OPERATIONS, parse_scopes
from gateway.core.values import Scope, Term

FIXTURE = json.loads((Path(__file__).parents[3] / "fixtures/smart/scopes.json").read_text())
TYPES = frozenset(FIXTURE["types"])


def enforceable(kind: str, term: Term) -> bool:
    return term.name in FIXTURE["enforceable"].get(kind, ())


def case_id(case: dict[str, Any]) -> str:
    return f"{case['row']} {case.get('name', case['scope'])}" if "row" in case else str(case["name"])


def expected_scopes(case: dict[str, Any]) -> list[Scope]:
    return [
        Scope(
            row["level"],
            row["type"],
            row["operations"],
            tuple(Term(name, tuple(values)) for name, values in row.get("constraints", ())),
        )
        for row in case.get("resources", ())
    ]


@pytest.mark.parametrize("case", FIXTURE["cases"], ids=case_id)
def test_scope_text_reads_as_the_table_says(case: dict[str, Any]) -> None:
    scopes = parse_scopes(case["scope"], types=TYPES, evaluable=enforceable)
    assert [replace(scope, text="") for scope in scopes.resources] == expected_scopes(case)
    assert list(scopes.context) == case.get("context", [])
    assert [drop.text for drop in scopes.dropped] == [row["text"] for row in case.get("dropped", ())]
    for drop, row in zip(scopes.dropped, case.get("dropped", ()), strict=True):
        assert row["why"] in drop.reason


def test_every_row_of_the_grammar_table_is_a_case() -> None:
    assert {case["row"] for case in FIXTURE["cases"] if "row" in case} == set(range(1, 41))


@pytest.mark.parametrize("case", [c for c in FIXTURE["cases"] if "resources" in c], ids=case_id)
def test_scope_keeps_the_spelling_it_was_written_in(case: dict[str, Any]) -> None:
    scopes = parse_scopes(case["scope"], types=TYPES, evaluable=enforceable)
    spelled = [scope.text for scope in scopes.resources]
    assert spelled == [word for word in dict.fromkeys(case["scope"].split()) if word in spelled]


def test_raw_and_encoded_pipe_are_one_right_in_two_spellings() -> None:
    raw, encoded = "patient/Observation.rs?category=s|c", "patient/Observation.rs?category=s%7Cc"
    first, second = parse_scopes(f"{raw} {encoded}", types=TYPES, evaluable=enforceable).resources
    assert (first.text, second.text) == (raw, encoded)
    assert first.constraints == second.constraints


@given(
    level=st.sampled_from(["patient", "user", "system"]),
    kind=st.sampled_from(["*", "Observation"]),
    word=st.sampled_from(sorted(V1_OPERATIONS)),
)
def test_v1_scope_is_its_v2_form(level: str, kind: str, word: str) -> None:
    v1, v2 = f"{level}/{kind}.{word}", f"{level}/{kind}.{V1_OPERATIONS[word]}"
    first, second = parse_scopes(f"{v1} {v2}", types=TYPES, evaluable=enforceable).resources
    assert replace(first, text="") == replace(second, text="")


SCOPE_LIKE = st.text("patienuscord/*.Obv?=&%2C7+,\\ |\t:_", max_size=60)


@given(st.one_of(st.text(max_size=60), SCOPE_LIKE))
def test_every_token_ends_in_exactly_one_place(text: str) -> None:
    scopes = parse_scopes(text, types=TYPES, evaluable=enforceable)
    placed = [
        *(scope.text for scope in scopes.resources),
        *scopes.context,
        *(drop.text for drop in scopes.dropped),
    ]
    assert sorted(placed) == sorted({word for word in text.split(" ") if word})


def test_constraint_that_is_not_enforceable_costs_the_scope_and_not_the_constraint() -> None:
    text = "patient/Observation.rs?category=laboratory"
    kept = parse_scopes(text, types=TYPES, evaluable=lambda kind, term: True)
    lost = parse_scopes(text, types=TYPES, evaluable=lambda kind, term: False)
    assert kept.resources[0].constraints == (Term("category", ("laboratory",)),)
    assert lost.resources == ()
