"""Paths find what stands there, and nothing in odd data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.paths import Path, referred_type, walk

PATIENT = {
    "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}, None],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}, {"value": "3"}],
    "link": [
        {"other": {"reference": "Patient/p"}},
        {"other": {"reference": "https://x/fhir/Patient/q/_history/1"}},
        {"other": {"reference": "Group/p"}},
        {"other": {"display": "Patient/p"}},
    ],
    "active": False,
    "nested": [[{"family": "no"}]],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("active", [False]),
        ("name.family", ["A", "D"]),
        ("name.given", ["B", "C"]),
        ("telecom[system=phone].value", ["1"]),
        ("telecom[system=fax].value", []),
        ("link.other[->Patient].reference", ["Patient/p", "https://x/fhir/Patient/q/_history/1"]),
        ("link.other[->Group].reference", ["Group/p"]),
        ("nested.family", []),
        ("nested", []),
        ("active.value", []),
        ("nothing", []),
    ],
)
def test_walk(path: str, found: list[object]) -> None:
    assert list(walk(PATIENT, Path.parse(path))) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".a",
        "A",
        "a b",
        "a[b]",
        "a[b=]",
        "a[->patient]",
        "a[b=c]d",
        "a[0]",
        "a[b=c][d=e]",
        "a-b",
    ],
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError):
        Path.parse(text)


@pytest.mark.parametrize(
    "odd", [None, 1, "x", [], [[]], {"reference": 1}, {"reference": None}, {"reference": "x"}]
)
def test_what_refers_to_nothing(odd: object) -> None:
    assert referred_type(odd) is None


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(TREES, st.sampled_from(["a", "a.b", "a.b[a=x].c", "b[->Patient]", "a.a.a"]))
def test_walk_never_raises_and_never_yields_lists_or_null(tree: object, path: str) -> None:
    assert not any(v is None or isinstance(v, list) for v in walk(tree, Path.parse(path)))
