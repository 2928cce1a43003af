"""The settings of `[labels]`: how sure a code must be, and which records have labels that no code tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from gateway.config.kinds import Kind, choice
from gateway.config.rows import Row
from gateway.core.values import is_id

_IDS: Final = 'write a list of ids, each once, such as ["detox-clinic"]'
_PATIENTS: Final = "write a list of ids, each once, or the path of a file with an id on each line"
_AGES: Final = 'write two birthdays, such as "12-18"'
_AGES_FORM: Final = re.compile("(0|[1-9][0-9]?)-([1-9][0-9]?)")
_SOURCES: Final = 'write a list of addresses as in `meta.source`, each once, without "#"'


def _share(raw: object, _: Path) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= 1:
        raise ValueError("write a number from 0 to 1")
    return float(raw)


def _number(text: str) -> object:
    """A number from an environment variable; anything else stays text, which the check refuses."""
    try:
        return float(text)
    except ValueError:
        return text


def _listed(allowed: Callable[[str], bool], expected: str) -> Kind:
    def check(raw: object, _: Path) -> tuple[str, ...]:
        texts = raw if isinstance(raw, list) else [None]
        if not all(isinstance(text, str) and allowed(text) for text in texts):
            raise ValueError(expected)
        if len(set(texts)) != len(texts):
            raise ValueError(expected)
        return tuple(texts)

    return Kind("list", check, lambda text: [part.strip() for part in text.split(",")])


def _ids(raw: object, folder: Path) -> tuple[str, ...]:
    """A list of ids, or those of the file that a text names: one a line, empty lines and `#` left out."""
    if not isinstance(raw, str):
        return _ID_LIST.check(raw, folder)  # type: ignore[return-value]  # a kind's check gives its kind
    try:
        lines = (folder / raw).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        raise ValueError(_PATIENTS) from None
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        ident = line.partition("#")[0].strip()
        if ident and (not is_id(ident) or ident in found):
            raise ValueError(f"line {number} of the file is not an id, or one that stands above")
        if ident:
            found[ident] = number
    return tuple(found)


def _ages(raw: object, _: Path) -> str:
    found = _AGES_FORM.fullmatch(raw) if isinstance(raw, str) else None
    if found is None or int(found[1]) >= int(found[2]):
        raise ValueError(_AGES)
    return found[0]


def _is_source(text: str) -> bool:
    return bool(text) and text.isprintable() and not set(text) & set("# ")


_ID_LIST: Final = _listed(is_id, _PATIENTS)
PATIENTS: Final = Kind("list or file", _ids, lambda text: text if "/" in text else _ID_LIST.from_text(text))
"""Patients by id. In the environment a text with a slash, which no id has, is a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """How sensitive records are known."""

    confidence: Annotated[
        float,
        Row(
            Kind("number", _share, _number),
            "How sure a code of `mappings/sensitivity` must be, from 0 to 1, to label a record: lower finds "
            "more, and more that is not meant.",
            0.5,
        ),
    ]
    context: Annotated[
        str,
        Row(
            choice("none", "clinical", "all"),
            "Which records have the labels of their encounter or episode too: none; notes, documents, orders "
            "and diagnoses, but not vital signs and routine laboratory; or all.",
            "clinical",
        ),
    ]
    part2_organizations: Annotated[
        tuple[str, ...],
        Row(
            _listed(is_id, _IDS),
            "Ids of the organisations whose records fall under 42 CFR Part 2.",
            [],
        ),
    ]
    part2_sources: Annotated[
        tuple[str, ...],
        Row(
            _listed(_is_source, _SOURCES),
            "The systems whose records fall under 42 CFR Part 2, as `meta.source` names them.",
            [],
        ),
    ]
    employees: Annotated[
        tuple[str, ...],
        Row(
            PATIENTS,
            "The patients who work here, whose records are all labelled `EMP`: ids, or the path of a file "
            "with an id on each line.",
            [],
        ),
    ]
    vips: Annotated[
        tuple[str, ...],
        Row(
            PATIENTS,
            "The patients whom everybody knows, whose records are all labelled `VIP`: ids, or the path of a "
            "file.",
            [],
        ),
    ]
    victims: Annotated[
        tuple[str, ...],
        Row(
            PATIENTS,
            "The patients whom somebody must not find: their addresses, telephone numbers and contacts are "
            "labelled `SDV`. Ids, or the path of a file.",
            [],
        ),
    ]
    adolescent: Annotated[
        str | None,
        Row(
            Kind("ages", _ages),
            "The years from one birthday up to another, such as `12-18`, in which what is sensitive is "
            "labelled `ADOL`, by the birth date of the patient and the dates of the record; without it "
            "nothing is.",
            None,
        ),
    ]
