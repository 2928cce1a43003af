from __future__ import annotations

from gateway.core.consent.hierarchy import Hierarchy

TABLE = Hierarchy({"a": ("b", "c"), "b": ("d",), "x": ("y",), "y": ("x",), "alone": ()})


def test_below_is_closed() -> None:
    assert TABLE.below("a") == {"a", "b", "c", "d"}
    assert TABLE.below("b") == {"b", "d"}
    assert TABLE.below("d") == {"d"}


def test_codes_below_each_other_are_the_same() -> None:
    assert TABLE.below("x") == TABLE.below("y") == {"x", "y"}


def test_an_unknown_code_stands_alone() -> None:
    assert TABLE.below("unknown") == {"unknown"}
    assert "unknown" not in TABLE.codes


def test_below_any_is_the_union() -> None:
    assert TABLE.below_any(["b", "alone"]) == {"b", "d", "alone"}
    assert TABLE.below_any([]) == frozenset()
