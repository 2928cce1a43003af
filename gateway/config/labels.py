"""The settings of `[labels]`: how sure a code must be, and which records have labels that no code tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from gateway.config.kinds import Kind, choice
from gateway.config.rows import Row
from gateway.core.values import is_id

_IDS: Final = 'write a list of ids, each once, such as ["detox-clinic"]'
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


def _is_source(text: str) -> bool:
    return bool(text) and text.isprintable() and not set(text) & set("# ")


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
            _listed(is_id, _IDS),
            "Ids of the patients who work here: all their records are labelled `EMP`.",
            [],
        ),
    ]
    vips: Annotated[
        tuple[str, ...],
        Row(
            _listed(is_id, _IDS),
            "Ids of the patients whom everybody knows: all their records are labelled `VIP`.",
            [],
        ),
    ]
