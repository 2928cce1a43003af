"""The order of scopes: containment, intersection and narrowing keep their laws."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.algebra import contains, contains_all, format_scope, intersect, narrow
from gateway.core.smart.scopes import parse_scopes
from gateway.core.values import OPERATIONS, Scope, Term

TYPES = ["Condition", "Observation"]
TERMS = [Term("category", ("laboratory",)), Term("category", ("a\\,b", "c|d")), Term("status", ("final",))]

# Few values on purpose, so that scopes often meet.
OPS = st.sets(st.sampled_from(OPERATIONS), min_size=1).map(lambda o: "".join(sorted(o, key=OPERATIONS.index)))
SCOPE = st.builds(
    Scope,
    st.sampled_from(["patient", "user"]),
    st.sampled_from(["*", *TYPES]),
    OPS,
    st.lists(st.sampled_from(TERMS), unique=True, max_size=2).map(tuple),
    st.just("as it was written"),
)
SCOPES = st.lists(SCOPE, max_size=4)


def right(scope: Scope) -> tuple[str, str, str, frozenset[Term]]:
    """What a scope permits, without its spelling."""
    return scope.level, scope.type, scope.operations, frozenset(scope.constraints)


def read(text: str) -> tuple[Scope, ...]:
    return parse_scopes(text, types=frozenset(TYPES), evaluable=lambda kind, term: True).resources


@given(SCOPE)
def test_containment_is_reflexive(p: Scope) -> None:
    assert contains(p, p)


@given(SCOPE, SCOPE, SCOPE)
def test_containment_is_transitive(p: Scope, q: Scope, r: Scope) -> None:
    assert contains(p, r) or not (contains(p, q) and contains(q, r))


@given(SCOPE, SCOPE)
def test_containment_is_antisymmetric_up_to_spelling(p: Scope, q: Scope) -> None:
    assert (contains(p, q) and contains(q, p)) == (right(p) == right(q))


@given(SCOPE, SCOPE, SCOPE)
def test_intersection_is_the_greatest_lower_bound(p: Scope, q: Scope, r: Scope) -> None:
    common = intersect(p, q)
    below_both = contains(p, r) and contains(q, r)
    assert below_both == (common is not None and contains(common, r))


@given(SCOPE, SCOPE)
def test_intersection_commutes_up_to_spelling(p: Scope, q: Scope) -> None:
    there, back = intersect(p, q), intersect(q, p)
    assert (there and right(there)) == (back and right(back))


@given(SCOPE, SCOPE)
def test_intersection_keeps_the_spelling_of_a_scope_it_leaves_whole(p: Scope, q: Scope) -> None:
    common = intersect(p, q)
    assert common is None or (common == p) == contains(q, p)


@given(SCOPE)
def test_formatted_scope_parses_to_itself(p: Scope) -> None:
    spelled = replace(p, text=format_scope(p))
    assert read(spelled.text) == (spelled,)


@given(SCOPES, SCOPE)
def test_union_contains_what_its_members_contain_letter_by_letter(ps: list[Scope], q: Scope) -> None:
    letters = [replace(q, operations=o) for o in q.operations]
    assert contains_all(ps, q) == all(any(contains(p, letter) for p in ps) for letter in letters)
    assert contains_all(ps, q) or not any(contains(p, q) for p in ps)


@given(SCOPES, SCOPES)
def test_narrowed_scopes_lie_within_both_sides(asked: list[Scope], ceiling: list[Scope]) -> None:
    for scope in narrow(asked, ceiling):
        assert contains_all(asked, scope)
        assert contains_all(ceiling, scope)


@given(SCOPES, SCOPES)
def test_narrowing_loses_nothing_that_both_sides_permit(asked: list[Scope], ceiling: list[Scope]) -> None:
    granted = narrow(asked, ceiling)
    for p, q in product(asked, ceiling):
        common = intersect(p, q)
        assert common is None or contains_all(granted, common)


@given(SCOPES)
def test_narrowing_to_itself_changes_nothing(asked: list[Scope]) -> None:
    assert narrow(asked, asked) == tuple(dict.fromkeys(asked))


@pytest.mark.parametrize(
    ("asked", "ceiling", "granted"),
    [
        ("patient/Observation.read", "patient/*.rs", "patient/Observation.read"),
        ("patient/Observation.read", "patient/*.r", "patient/Observation.r"),
        ("patient/Condition.*", "patient/Condition.read patient/Condition.write", "patient/Condition.*"),
        (
            "patient/Condition.cruds",
            "patient/Condition.rs patient/*.c",
            "patient/Condition.rs patient/Condition.c",
        ),
        ("patient/*.cruds", "patient/*.r patient/*.rs patient/*.s", "patient/*.rs"),
        ("patient/*.rs", "patient/Observation.rs", "patient/Observation.rs"),
        ("patient/*.rs", "user/*.rs", ""),
        ("user/*.rs", "system/*.cruds", ""),
        ("patient/Observation.rs", "patient/Condition.rs", ""),
        ("patient/Observation.c", "patient/Observation.rs", ""),
        (
            "patient/Observation.rs?category=s%7Cc",
            "patient/Observation.rs?category=s|c",
            "patient/Observation.rs?category=s%7Cc",
        ),
        (
            "patient/Observation.read",
            "patient/*.rs?_lastUpdated=gt2024",
            "patient/Observation.rs?_lastUpdated=gt2024",
        ),
        (
            "patient/Observation.rs?code=a",
            "patient/Observation.r?status=final",
            "patient/Observation.r?code=a&status=final",
        ),
    ],
)
def test_narrowing_by_example(asked: str, ceiling: str, granted: str) -> None:
    assert " ".join(scope.text for scope in narrow(read(asked), read(ceiling))) == granted


@pytest.mark.parametrize(
    ("p", "q", "held"),
    [
        ("patient/Observation.rs", "patient/Observation.rs?category=a", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs", False),
        ("patient/*.r", "patient/Observation.r", True),
        ("patient/Observation.r", "patient/*.r", False),
        ("system/*.cruds", "patient/Observation.r", False),
        ("user/*.cruds", "patient/Observation.r", False),
        ("patient/Observation.r", "patient/Observation.rs", False),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?status=b&category=a", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=a,b", False),
    ],
)
def test_containment_by_example(p: str, q: str, held: bool) -> None:
    assert contains(read(p)[0], read(q)[0]) is held
