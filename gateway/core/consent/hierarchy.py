"""Codes with narrower codes below them, closed once when built, so that a match is one look-up.

A code is always below itself. Codes that the table does not know stand alone: they equal themselves and
nothing else. Two codes may be below each other; then they mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Hierarchy:
    """`table` gives for each code the codes directly below it."""

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        direct = {code: frozenset(narrower) for code, narrower in table.items()}
        self.codes = frozenset(direct).union(*direct.values())
        self._below = {code: _closure(code, direct) for code in self.codes}

    def below(self, code: str) -> frozenset[str]:
        """The code and everything it subsumes."""
        return self._below.get(code) or frozenset((code,))

    def below_any(self, codes: Iterable[str]) -> frozenset[str]:
        return frozenset().union(*map(self.below, codes))


def _closure(code: str, direct: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting.extend(direct.get(here, ()))
    return frozenset(found)
