"""Values of a file with the lines they stand in, and what is wrong with them.

Whoever reads the file makes `Spot`s; here they are taken apart, and every fault is noted with its line, so
that all faults of a file are told at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Listed:
    spots: tuple[Spot, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values in the order of the file; a key may be there twice, which is a fault."""

    rows: tuple[tuple[Spot, Spot], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Other:
    """A number, a truth value, nothing: what has no place in these files."""

    line: int


Spot: TypeAlias = Text | Listed | Table | Other


@dataclass(slots=True)
class Faults:
    """What is wrong with a file, by line. Each method reads one shape, and notes what has another."""

    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, spot: Spot, text: str) -> None:
        self.found.append((spot.line, text))

    def text(self, spot: Spot, what: str) -> str | None:
        if isinstance(spot, Text) and spot.text:
            return spot.text
        self.add(spot, f"{what} is a text")
        return None

    def name(self, spot: Spot, what: str, known: Collection[str]) -> str | None:
        """The text if it is one of `known`."""
        text = self.text(spot, what)
        if text is None or text in known:
            return text
        self.add(spot, f"{what}: there is no {text}")
        return None

    def items(self, spot: Spot, what: str) -> Iterator[Spot]:
        """The spots of a list of one or more texts, none of them twice."""
        if not isinstance(spot, Listed) or not spot.spots:
            self.add(spot, f"{what} is a list of one or more")
            return
        seen: set[str] = set()
        for one in spot.spots:
            if isinstance(one, Text) and one.text in seen:
                self.add(one, f"{what}: {one.text} is there twice")
                continue
            if isinstance(one, Text):
                seen.add(one.text)
            yield one

    def names(self, spot: Spot, what: str, known: Collection[str]) -> tuple[str, ...]:
        found = [self.name(one, what, known) for one in self.items(spot, what)]
        return tuple(name for name in found if name is not None)

    def table(self, spot: Spot, what: str) -> dict[str, tuple[Spot, Spot]]:
        """Key and value by the text of the key."""
        if not isinstance(spot, Table):
            self.add(spot, f"{what} is a table")
            return {}
        found: dict[str, tuple[Spot, Spot]] = {}
        for key, value in spot.rows:
            text = self.text(key, f"a key of {what}")
            if text in found:
                self.add(key, f"{what}: {text} is there twice")
            elif text is not None:
                found[text] = (key, value)
        return found

    def members(
        self, spot: Spot, what: str, needed: Collection[str], allowed: Collection[str] = ()
    ) -> Mapping[str, Spot]:
        """The values of a table with these keys and no others."""
        rows = self.table(spot, what)
        for name, (key, _) in rows.items():
            if name not in needed and name not in allowed:
                self.add(key, f"{what}: there is no key {name}")
        for name in sorted(set(needed) - rows.keys()) if isinstance(spot, Table) else ():
            self.add(spot, f"{what}: {name} is missing")
        return {name: value for name, (_, value) in rows.items()}
