"""The settings of `[[studies]]`: who asks for a study, what it is about, and how its records leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from gateway.config.kinds import NAME, Kind, choice, matching
from gateway.config.rows import Row
from gateway.core.studies.study import MAX_CODES, coding_of, instant_of

_CLIENTS: Final = 'write a list of ids of clients, each once, such as ["heart-study"], or "ID@ISSUER"'
_CODES: Final = (
    f"write a list of 1 to {MAX_CODES} codes, each once, each a system, a bar and a code: "
    '["http://loinc.org|8480-6"]'
)
_UNTIL: Final = 'write a day, such as "2026-07-01", or an instant with its zone'


def _listed(reads: Callable[[str], object], most: int, expected: str) -> Kind:
    def check(raw: object, _: Path) -> tuple[str, ...]:
        texts = raw if isinstance(raw, list) else []
        if not 0 < len(texts) <= most or not all(isinstance(text, str) for text in texts):
            raise ValueError(expected)
        if len(set(texts)) != len(texts):
            raise ValueError(expected)
        try:
            list(map(reads, texts))
        except ValueError as wrong:
            raise ValueError(expected) from wrong
        return tuple(texts)

    return Kind("list", check, lambda text: [part.strip() for part in text.split(",")])


def _client(text: str) -> str:
    """Raises ValueError."""
    name, at, issuer = text.partition("@")
    if not name or (at and not issuer) or not text.isprintable() or " " in text:
        raise ValueError("not a client")
    return text


def _until(raw: object, _: Path) -> str:
    try:
        instant_of(raw if isinstance(raw, str) else "")
    except ValueError as wrong:
        raise ValueError(_UNTIL) from wrong
    return str(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study, whose clients get records with pseudonyms and moved dates (docs/research.md)."""

    id: Annotated[str, Row(NAME, "Its name. Pseudonyms and dates hang on it: another name, others; unique.")]
    clients: Annotated[
        tuple[str, ...],
        Row(
            _listed(_client, 100, _CLIENTS),
            "The clients that ask for it, by id, at whichever issuer, or as `ID@ISSUER`. They ask for "
            "nothing else: a client is in one study, and whatever its token says, it has the study's role.",
        ),
    ]
    codes: Annotated[
        tuple[str, ...],
        Row(
            _listed(coding_of, MAX_CODES, _CODES),
            "The study's value set: its clients get the records whose `code` or medication is one of these.",
        ),
    ]
    until: Annotated[
        str,
        Row(
            Kind("day or instant", _until),
            "The study is of records as they were when this day began (UTC): what came or was changed later "
            "is not in it, and before that nobody gets anything.",
        ),
    ]
    dates: Annotated[
        str,
        Row(
            choice("shift", "year"),
            "What becomes of dates: they are moved back by 1 to 365 days, all of a patient's by as many; or "
            "the year alone is left of them.",
            "shift",
        ),
    ]
    role: Annotated[
        str,
        Row(
            matching("role", "[a-z][a-z0-9-]{0,31}", 'write the name of a role, such as "researcher"'),
            "The profile of `mappings/roles` that says what its clients see; it has `transform: study`.",
            "researcher",
        ),
    ]
