"""Where a record of each type says what it is about, when it was and who wrote it.

A `ContentRow` is one line of `mappings/content-*.json` (format in mappings/README.md), parsed strictly: an
unknown key or a text that is no path is an error. It knows places, and compares nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.fhir.paths import Path

Paths = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ContentRow:
    """`code`: the coded elements that say what the record is about; `code_of`: references to a record whose
    code says it. `clinical`: alternatives, the first that has a value counts; `until`: where the first
    alternative ends, if that is an element of its own; `other`: further dates, at which only a denial looks.
    `author`: references to who made the record or did what it records; `encounter`: to the encounter, or
    episode, in which it was made. An `exempt` type has no time and
    no author: what is about no patient, and who people are.
    """

    code: Paths = ()
    code_of: Paths = ()
    clinical: tuple[Paths, ...] = ()
    until: Paths = ()
    other: Paths = ()
    author: Paths = ()
    encounter: Paths = ()
    exempt: bool = False

    def __post_init__(self) -> None:
        if self.exempt and (self.clinical or self.until or self.other or self.author):
            raise ValueError("an exempt type has no dates and no authors")
        if (self.until or self.other) and not self.clinical:
            raise ValueError("a type with dates names its clinical ones")


NOTHING_KNOWN = ContentRow()

_LISTS = {"codeOf": "code_of"} | {n: n for n in ("code", "until", "other", "author", "encounter")}


def parse_content_table(rows: Any) -> dict[str, ContentRow]:
    """Type to row. Raises ValueError naming the place that is wrong."""
    if not isinstance(rows, Mapping):
        raise ValueError("content: types is not an object")
    return {type_: _row(row, type_) for type_, row in rows.items()}


def _row(row: Any, place: str) -> ContentRow:
    if not isinstance(row, Mapping) or row.keys() - _LISTS.keys() - {"clinical", "exempt"}:
        raise ValueError(f"{place}: is not a content row")
    if row.get("exempt", True) is not True:
        raise ValueError(f"{place}: exempt is true or left out")
    clinical = row.get("clinical", [])
    if not isinstance(clinical, list):
        raise ValueError(f"{place}: clinical is a list of alternatives")
    try:
        return ContentRow(
            clinical=tuple(_paths(alternative, f"{place}.clinical") for alternative in clinical),
            exempt="exempt" in row,
            **{name: _paths(row[key], f"{place}.{key}") for key, name in _LISTS.items() if key in row},
        )
    except ValueError as wrong:
        raise ValueError(f"{place}: {wrong}") from wrong


def _paths(value: Any, place: str) -> Paths:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{place}: is not a list of paths")
    if len(set(value)) != len(value):
        raise ValueError(f"{place}: names a path twice")
    return tuple(map(Path.parse, value))
