"""Reads elements of the FHIR JSON tree as what search compares: codes, texts, instants, decimals.

Each function takes whatever stands in the tree and says what it is. None stands for what is there and
cannot be told: an unexpected shape, a null, a value that was masked. It is never passed over in silence,
because a rule that forbids has to count it as a match. Nothing raises.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.core.fhir.literals import END, START, Interval, parse_date
from gateway.core.fhir.paths import Path, Step, referred_type

# A ContactPoint's system says what it is; as a token its value stands alone.
_CONTACT_SYSTEMS = {"phone", "fax", "email", "pager", "url", "sms", "other"}


def values_at(resource: object, path: Path) -> Iterator[object]:
    """The values at `path`, in document order, and a None for each place that cannot be read.

    `paths.walk` follows the same paths and leaves out what is odd.
    """
    found: list[object] = [resource]
    for step in path.steps:
        found = [value for node in found for value in _children(node, step)]
    return iter(found)


def _children(node: object, step: Step) -> Iterator[object]:
    if not isinstance(node, dict):
        yield None
        return
    if step.name in node:
        value = node[step.name]
        for one in value if isinstance(value, list) and value else [value]:
            meant = _is_meant(one, step)
            if meant is not False:
                yield one if meant else None
    elif _is_masked(node, step.name):
        yield None


def _is_meant(value: object, step: Step) -> bool | None:
    """Whether the step's filter keeps the value; None if that cannot be told."""
    if value is None or isinstance(value, list):
        return None
    if step.where is not None:
        name, wanted = step.where
        found = value.get(name) if isinstance(value, dict) else None
        return found == wanted if isinstance(found, str) else None
    if step.target is not None:
        kind = referred_type(value)
        return None if kind is None else kind == step.target
    return True


def _is_masked(node: dict[str, Any], name: str) -> bool:
    """Whether the primitive element has extensions in the place of its value (FHIR json.html#primitive)."""
    return name not in node and f"_{name}" in node


def codes(value: object) -> Iterator[tuple[str | None, str | None]]:
    """(system, code) pairs of a value. System "" is a Coding without one; None, of either, is unsaid: the
    system of a bare code or boolean, or what cannot be read."""
    match value:
        case bool():
            yield None, "true" if value else "false"
        case str():
            yield None, _sound(value)
        case {"coding": list() as codings} if codings:
            for coding in codings:
                yield _coding(coding, "code")
        case {"coding": _}:
            yield None, None
        case {"system": str() as system, "value": str() as code} if system in _CONTACT_SYSTEMS:
            yield None, _sound(code)
        case dict():
            # A concept of text alone has neither, so nothing of it can be told.
            yield _coding(value, "code" if "code" in value or "value" not in value else "value")
        case _:
            yield None, None


def _coding(coding: object, key: str) -> tuple[str | None, str | None]:
    if not isinstance(coding, dict) or not isinstance(coding.get("system", ""), str):
        return None, None
    system = None if _is_masked(coding, "system") else coding.get("system", "")
    return system and _sound(system), _sound(coding.get(key))


def _sound(text: object) -> str | None:
    """A code or system as it stands; None for no text, and for one with white space around, which FHIR
    does not have."""
    return text if isinstance(text, str) and text and text == text.strip() else None


# The searchable parts of HumanName and Address (FHIR search.html, string).
_TEXT_PARTS = (
    "family", "given", "prefix", "suffix", "text",
    "line", "city", "district", "state", "postalCode", "country",
)  # fmt: skip


def texts(value: object) -> Iterator[str | None]:
    """A string, or the searchable strings of a HumanName or an Address."""
    if isinstance(value, str):
        yield value
        return
    found = list(_parts(value)) if isinstance(value, dict) else []
    yield from found or [None]


def _parts(value: dict[str, Any]) -> Iterator[str | None]:
    for part in _TEXT_PARTS:
        if part in value or _is_masked(value, part):
            inner = value.get(part)
            for text in inner if isinstance(inner, list) else [inner]:
                yield text if isinstance(text, str) else None


def folded(text: str) -> str:
    """Without case and accents, as FHIR compares strings."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def intervals(value: object) -> Iterator[Interval | None]:
    """The intervals of a date, dateTime, instant, Period, or Timing."""
    match value:
        case str():
            yield _interval(value)
        case {"event": list() as events} if events:  # a Timing, by the events it lists
            for event in events:
                yield _interval(event) if isinstance(event, str) else None
        case dict() if "start" in value or "end" in value:
            low, high = _edge(value, "start"), _edge(value, "end")
            yield None if low is None or high is None else Interval(low.low, high.high)
        case _:
            yield None


def _edge(period: dict[str, Any], name: str) -> Interval | None:
    """One end of a Period: open when absent, None when it is there and not a date."""
    if name not in period and not _is_masked(period, name):
        return Interval(START, END)
    value = period.get(name)
    return _interval(value) if isinstance(value, str) else None


def _interval(text: str) -> Interval | None:
    try:
        _, interval = parse_date(text)
    except ValueError:
        return None
    # A prefix belongs to search values, never to data.
    return interval if text[0].isdigit() else None


def decimal(value: object) -> Decimal | None:
    """A JSON number, exactly as written; None for anything else."""
    # str() gives the number's own text, whatever lossless type the codec used for it.
    if value is None or isinstance(value, (bool, str, dict, list)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
