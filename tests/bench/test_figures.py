"""Percentiles, medians, and a collector that is as it was afterwards."""

from __future__ import annotations

import contextlib
import gc
import statistics
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bench.figures import median_of, percentile, quiet_collector

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1.0), (50, 5.0), (51, 6.0), (90, 9.0), (99, 10.0), (100, 10.0)]
)
def test_percentile_of_one_to_ten(percent: float, expected: float) -> None:
    assert percentile([10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], percent) == expected


@given(VALUES, st.integers(1, 100))
def test_as_many_values_as_said_do_not_exceed_the_percentile(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    within = sum(value <= found for value in values)
    assert within * 100 >= len(values) * percent
    below = sum(value < found for value in values)
    assert below * 100 < len(values) * percent


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_or_outside_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_each_figure_has_its_own_median(turns: list[tuple[float, float]]) -> None:
    first, second = median_of(turns)
    assert first == statistics.median([turn[0] for turn in turns])
    assert second == statistics.median([turn[1] for turn in turns])


def test_turns_with_different_figures_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        median_of([(1.0, 2.0), (1.0,)])


@pytest.fixture
def thresholds() -> Iterator[tuple[int, int, int]]:
    """Thresholds that nobody else sets."""
    before = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    yield (701, 11, 12)
    gc.set_threshold(*before)


def test_the_collector_is_left_as_it_was(thresholds: tuple[int, int, int]) -> None:
    with contextlib.suppress(KeyError), quiet_collector():
        assert gc.get_threshold() != thresholds
        raise KeyError
    assert gc.get_threshold() == thresholds
