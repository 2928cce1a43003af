"""Which top-level elements of a type are in its summary, and which are mandatory (search.html, summary).

Needed to cut what is released to what the client asked for; says nothing about who may see it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.fhir.catalogue import VERSIONS, Release


@dataclass(frozen=True, slots=True)
class Outline:
    """Element names in the order of the definition; a choice element stands once for each of its types."""

    summary: tuple[str, ...] = ()
    mandatory: tuple[str, ...] = ()


NOTHING = Outline()


def parse_outlines(table: Mapping[str, Any], release: Release) -> dict[str, Outline]:
    """Type to outline, from `mappings/outlines-*.json` (format in mappings/README.md) of `release`.

    Raises:
        ValueError: another release, a key too many or too few, a value of another shape; the text
            names the place.
    """
    _keys(table, {"origin", "licence", "fhirVersion", "types"}, "outlines")
    if table["fhirVersion"] != VERSIONS[release]:
        raise ValueError(f"outlines: fhirVersion is not {VERSIONS[release]}")
    if not isinstance(table["types"], Mapping):
        raise ValueError("outlines: types is not an object")
    return {type_: _outline(type_, row) for type_, row in table["types"].items()}


def _outline(type_: str, row: Any) -> Outline:
    _keys(row, {"summary", "mandatory"}, type_)
    return Outline(_names(row["summary"], f"{type_}.summary"), _names(row["mandatory"], f"{type_}.mandatory"))


_NAME = re.compile(r"[a-z][A-Za-z0-9]*")


def _names(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and _NAME.fullmatch(v) for v in value):
        raise ValueError(f"{place}: is not a list of element names")
    if len(set(value)) != len(value):
        raise ValueError(f"{place}: names an element twice")
    return tuple(value)


def _keys(value: Any, needed: set[str], place: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place}: is not an object")
    if value.keys() != needed:
        raise ValueError(f"{place}: unknown or missing key {', '.join(sorted(value.keys() ^ needed))}")
