"""The figures of a run as tables: Markdown for people, JSON for programs. Knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Cell = str | int | float | None
"""None: this machine cannot tell."""


@dataclass(frozen=True, slots=True)
class Column:
    """`key` in JSON, `heading` (with its unit) in Markdown, `digits` after the decimal point."""

    key: str
    heading: str
    digits: int = 0

    def text(self, cell: Cell) -> str:
        if cell is None:
            return "?"
        return cell if isinstance(cell, str) else f"{cell:,.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Table:
    """One section: `note` says how to read its rows. Raises ValueError when a row does not fit."""

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of {self.name} has not one cell for each column")

    def records(self) -> list[dict[str, Cell]]:
        """Each row by the keys of its columns."""
        return [{c.key: cell for c, cell in zip(self.columns, row, strict=True)} for row in self.rows]

    def markdown(self) -> Iterator[str]:
        yield from (f"### {self.title}", "", self.note, "")
        yield _line(column.heading for column in self.columns)
        first = self.rows[0] if self.rows else ()
        yield _line("---" if isinstance(cell, str) else "--:" for cell in first)
        for row in self.rows:
            yield _line(column.text(cell) for column, cell in zip(self.columns, row, strict=True))
        yield ""


@dataclass(frozen=True, slots=True)
class Report:
    """All tables of a run, and the machine they are of. `seconds` is how long the run took."""

    machine: Mapping[str, str]
    method: str
    tables: tuple[Table, ...]
    seconds: float

    def markdown(self) -> str:
        lines = [_line(("machine", "")), _line(("---", "---"))]
        lines += [_line(pair) for pair in self.machine.items()]
        lines += ["", self.method, ""]
        for table in self.tables:
            lines += table.markdown()
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        return {
            "machine": dict(self.machine),
            "method": self.method,
            "seconds": round(self.seconds, 1),
            "tables": {table.name: table.records() for table in self.tables},
        }


def _line(cells: Iterator[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
