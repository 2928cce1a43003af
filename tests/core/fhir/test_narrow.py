"""What is added to a search: as much as one query can say, and never an empty or a wider one."""

from __future__ import annotations

import pytest

from gateway.core.fhir import narrow
from gateway.core.smart.scopes import parse_scopes
from gateway.core.values import Scope, Term
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")


@pytest.mark.parametrize(
    ("kind", "patients", "limit", "expected"),
    [
        ("Observation", {"b", "a"}, 2, (("patient", "Patient/a,Patient/b"),)),
        ("Patient", {"a"}, 2, (("_id", "a"),)),
        ("Observation", {"a", "b", "c"}, 2, ()),
        ("Observation", set(), 2, ()),
        ("Practitioner", {"a"}, 2, ()),
        ("Group", {"a"}, 2, ()),
        ("Nope", {"a"}, 2, ()),
    ],
    ids=["two", "by id", "too many", "nobody", "of nobody", "denied", "unknown"],
)
def test_to_patients(kind: str, patients: set[str], limit: int, expected: narrow.Pairs) -> None:
    assert narrow.to_patients(R4.access(kind), patients, limit) == expected


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        ((), ()),
        (("a=1",), (("a", "1"),)),
        (("a=1&b=2",), (("a", "1"), ("b", "2"))),
        (("a=1", "a=2,3"), (("a", "1,2,3"),)),
        (("a=1", "b=2"), ()),
        (("a=1&b=2", "a=1&b=2"), ()),
        (("a=1", ""), ()),
    ],
    ids=["none", "one", "two of one", "one of each", "another of each", "two of each", "unconstrained"],
)
def test_to_constraints(queries: tuple[str, ...], expected: narrow.Pairs) -> None:
    assert narrow.to_constraints([_scope(query) for query in queries]) == expected


def _scope(query: str) -> Scope:
    text = f"patient/Observation.s?{query}".removesuffix("?")
    [scope] = parse_scopes(text, types={"Observation"}, evaluable=lambda kind, term: True).resources
    return scope


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Term("code", ("a|1", "a|2")), (("code", "a|1,a|2"),)),
        (Term("code", tuple(f"a|{number}" for number in range(51))), ()),
        (None, ()),
    ],
    ids=["two", "too many", "none"],
)
def test_to_values(term: Term | None, expected: narrow.Pairs) -> None:
    assert narrow.to_values(term) == expected
