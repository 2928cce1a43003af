"""The problems found so far, each with its place, and the one error they end in."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.source import Spot, line_of
from gateway.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of the file, or a variable of the environment; these sort last."""

    line: int
    text: str

    @classmethod
    def of_variable(cls, name: str) -> Place:
        return cls(sys.maxsize, f"environment {name}")


@dataclass(slots=True)
class Report:
    """The problems so far."""

    path: Path
    lines: dict[Spot, int]
    problems: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, *spot: str | int) -> Place:
        line = line_of(self.lines, spot)
        return Place(line, f"{self.path}:{line}")

    def add(self, place: Place, name: str, what: str) -> None:
        self.problems.append((place, f"{place.text}: {name}: {what}"))

    def close(self) -> None:
        if self.problems:
            count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
            raise ConfigError(
                "\n".join([f"{self.path}: {count}", *(text for _, text in sorted(self.problems))])
            )
