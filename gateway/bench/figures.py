"""Taking times and making figures of them: percentiles, medians over turns, a collector that keeps still."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Tick = Callable[[str], None]
"""Called with the name of each step of a run when it begins."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile is above 0, up to 100, and of something")
    ranked = sorted(values)
    return ranked[max(-(-len(ranked) * percent // 100), 1).__int__() - 1]


def median_of(turns: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The median of each figure over all turns; every turn has the same figures."""
    return tuple(statistics.median(column) for column in zip(*turns, strict=True))


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Lets the garbage collector look at what is new only, as the server does, and seldom."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
