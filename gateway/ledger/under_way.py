"""How many requests are under way that may yet append: what makes a commit worth waiting for.

Only a hint. Nothing is recorded or refused by it; a wrong number costs a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable

Count = Callable[[], int]
"""Requests under way now, with those that wait for their append. Called from another thread; never raises."""


class UnderWay:
    """The sum of what its sources tell; none at first."""

    def __init__(self) -> None:
        self._sources: tuple[Count, ...] = ()

    def add(self, source: Count) -> None:
        self._sources = (*self._sources, source)

    def __call__(self) -> int:
        return sum([source() for source in self._sources])
