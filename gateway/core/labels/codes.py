"""The sensitivity tables: which codes say something that a person may want to keep apart, and how surely.

A row names a code (of ICD-10-CM also a range, or a code with everything below it), one label, the confidence
that the code means it, its source, and where in a record such a code can be taken out by itself. Tables are
read strictly: what is not understood is an error with file and row, and the gateway does not start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.consent.labels import ACT_CODE, LABELS
from gateway.core.labels.systems import DRUG_NAME, ICD, CodeSystems, check_code, icd_range, normal
from gateway.core.values import Label

HEADER: Final = frozenset({"origin", "licence", "version"})
ANYWHERE: Final = "*"
NEVER_BY_CODE: Final = frozenset({"ADOL", "EMP", "VIP", "PRS", "42CFRPart2", "LEGALHOLD"})
"""What depends on who the patient is, whom they asked, where the record is from, or on a court."""
_FILE: Final = HEADER | {"about", "valueSets", "rows"}
_ROW: Final = frozenset({"code", "system", "label", "confidence", "source", "separable_paths"})


@dataclass(frozen=True, slots=True)
class Row:
    """`basis` is where the row stands, `hiv.json row 3`. `separable` are the places, of those that the table
    of places knows as such, where this code can be taken out: `ANYWHERE`, or `Type.path`."""

    basis: str
    code: str
    system: str
    label: Label
    confidence: float
    source: str
    separable: frozenset[str]

    def is_separable_at(self, place: str) -> bool:
        return ANYWHERE in self.separable or place in self.separable


class CodeTable:
    """All rows whose confidence is at least `confidence`, by system and code."""

    def __init__(self, rows: Iterable[Row], systems: CodeSystems, confidence: float = 0.0) -> None:
        self.systems = systems
        self.rows = tuple(row for row in rows if row.confidence >= confidence)
        self._exact: dict[str, dict[str, tuple[Row, ...]]] = {system: {} for system in systems.known}
        self._below: dict[str, tuple[Row, ...]] = {}
        for row in self.rows:
            self._add(row)
        names = sorted(self._exact.get(DRUG_NAME, ()))
        self._drug = re.compile(rf"\b({'|'.join(names)})\b", re.IGNORECASE) if names else None

    def found(self, address: str | None, code: str) -> tuple[Row, ...]:
        """The rows for a coding. One that names no system may be of any of them."""
        if not address:
            return tuple(row for system in sorted(self._exact) for row in self._of(system, code))
        system = self.systems.short(address)
        return self._of(system, code) if system is not None else ()

    def drugs_in(self, text: str) -> tuple[Row, ...]:
        """The rows for the ingredients that the text of a product names."""
        names = self._drug.findall(text) if self._drug is not None else ()
        return tuple(row for name in names for row in self._exact[DRUG_NAME][name.lower()])

    def _of(self, system: str, code: str) -> tuple[Row, ...]:
        code = normal(system, code)
        found = self._exact[system].get(code, ()) if system in self._exact else ()
        if system != ICD:
            return found
        # A category has three characters: what is above it is a chapter, and no code.
        below = (self._below.get(code[:length], ()) for length in range(3, len(code) + 1))
        return (*found, *(row for rows in below for row in rows))

    def _add(self, row: Row) -> None:
        codes, below = icd_range(row.code) if row.system == ICD else ((normal(row.system, row.code),), False)
        rows = self._below if below else self._exact[row.system]
        for code in codes:
            rows[code] = (*rows.get(code, ()), row)


# --- Reading ---------------------------------------------------------------------------------------


def parse_systems(table: Any) -> CodeSystems:
    """`mappings/code-systems.json`. Raises ValueError naming the place that is wrong."""
    check_keys(table, HEADER | {"systems"}, "code-systems.json")
    systems = table["systems"]
    if not isinstance(systems, Mapping) or not all(map(is_texts, systems.values())):
        raise ValueError("code-systems.json: systems are lists of addresses by short name")
    return CodeSystems(systems)


def parse_rows(
    files: Mapping[str, Any], systems: CodeSystems, separable: Callable[[str], bool]
) -> tuple[Row, ...]:
    """The rows of `mappings/sensitivity/*.json`, by file name. `separable` knows the places, as `Type.path`,
    that a row may name.

    Raises:
        ValueError: a key too many or too few, a value of another form, a label or system that is not known,
            the same code and label twice; the text names file and row, a line for each that is wrong.
    """
    rows: list[Row] = []
    faults: list[str] = []
    seen: dict[tuple[str, str, str], str] = {}
    for name, table in sorted(files.items()):
        try:
            raws = _raw_rows(name, table)
        except ValueError as wrong:
            faults.append(str(wrong))
            continue
        for number, raw in enumerate(raws, 1):
            try:
                row = _row(raw, f"{name} row {number}", systems, separable)
            except ValueError as wrong:
                faults.append(str(wrong))
                continue
            first = seen.setdefault((row.system, row.code, row.label.code), row.basis)
            if first is not row.basis:
                faults.append(f"{row.basis}: says again what {first} says")
            rows.append(row)
    if faults:
        raise ValueError("\n".join(faults))
    return tuple(rows)


def _raw_rows(name: str, table: Any) -> list[Any]:
    check_keys(table, _FILE, name)
    rows: Any = table["rows"]
    if not isinstance(rows, list) or not is_texts(table["valueSets"]):
        raise ValueError(f"{name}: rows and valueSets are lists")
    return rows


def _row(raw: Any, place: str, systems: CodeSystems, separable: Callable[[str], bool]) -> Row:
    check_keys(raw, _ROW, place)
    code, system, label, source = (_text(raw, key, place) for key in ("code", "system", "label", "source"))
    confidence, paths = raw["confidence"], raw["separable_paths"]
    if system not in systems.known:
        raise ValueError(f"{place}: system is none of code-systems.json")
    if LABELS.named(label).system != ACT_CODE or not LABELS.knows(label):
        raise ValueError(f"{place}: label is no sensitivity that is known")
    if label in NEVER_BY_CODE:
        raise ValueError(f"{place}: label comes from settings and records, never from a code")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence <= 1:
        raise ValueError(f"{place}: confidence is a number above 0 and up to 1")
    if not is_texts(paths) or not all(path == ANYWHERE or separable(path) for path in paths):
        raise ValueError(f"{place}: separable_paths are '*' or places of label-places.json")
    try:
        check_code(system, code)
    except ValueError as wrong:
        raise ValueError(f"{place}: {wrong}") from wrong
    return Row(place, code, system, Label(ACT_CODE, label), float(confidence), source, frozenset(paths))


def check_keys(value: Any, needed: frozenset[str], place: str) -> None:
    """Raises ValueError unless `value` is an object with exactly these keys."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{place}: is not an object")
    if value.keys() != needed:
        raise ValueError(f"{place}: unknown or missing key {', '.join(sorted(value.keys() ^ needed))}")


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _text(raw: Mapping[str, Any], key: str, place: str) -> str:
    value = raw[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{place}: {key} is a text")
    return value
