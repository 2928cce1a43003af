"""Reads elements of the FHIR JSON tree as what search compares: codes, texts, instants, decimals.

Each function takes whatever stands in the tree and yields what it recognises, nothing else; a value
of an unexpected shape yields nothing and raises nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.core.fhir.literals import END, START, Interval, parse_date

# A ContactPoint's system says what it is; as a token its value stands alone.
_CONTACT_SYSTEMS = {"phone", "fax", "email", "pager", "url", "sms", "other"}


def codes(value: object) -> Iterator[tuple[str | None, str | None]]:
    """(system, code) pairs of a value; system "" is a Coding without one, None a bare code or boolean."""
    match value:
        case bool():
            yield None, "true" if value else "false"
        case str():
            yield None, value
        case {"coding": list() as codings}:
            for coding in codings:
                if isinstance(coding, dict):
                    yield from _coding(coding, "code")
        case {"system": str() as system, "value": str() as code} if system in _CONTACT_SYSTEMS:
            yield None, code
        case dict() if "code" in value:
            yield from _coding(value, "code")
        case dict() if "value" in value:
            yield from _coding(value, "value")
        case {"text": _}:
            yield None, None
        case _:
            pass


def _coding(coding: dict[str, Any], key: str) -> Iterator[tuple[str | None, str | None]]:
    system, code = coding.get("system", ""), coding.get(key)
    if isinstance(system, str) and (code is None or isinstance(code, str)):
        yield system, code


# The searchable parts of HumanName and Address (FHIR search.html, string).
_TEXT_PARTS = (
    "family", "given", "prefix", "suffix", "text",
    "line", "city", "district", "state", "postalCode", "country",
)  # fmt: skip


def texts(value: object) -> Iterator[str]:
    """A string, or the searchable strings of a HumanName or an Address."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in _TEXT_PARTS:
            inner = value.get(part)
            for text in inner if isinstance(inner, list) else [inner]:
                if isinstance(text, str):
                    yield text


def folded(text: str) -> str:
    """Without case and accents, as FHIR compares strings."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def intervals(value: object) -> Iterator[Interval]:
    """The intervals of a date, dateTime, instant, Period, or Timing."""
    match value:
        case str():
            found = _interval(value)
            if found is not None:
                yield found
        case {"event": list() as events}:  # a Timing, by the events it lists
            for event in events:
                if isinstance(event, str):
                    yield from intervals(event)
        case dict() if "start" in value or "end" in value:
            low, high = _edge(value.get("start")), _edge(value.get("end"))
            if low is not None and high is not None:
                yield Interval(low.low, high.high)
        case _:
            pass


def _edge(value: object) -> Interval | None:
    """One end of a Period: open when absent, None when it is there and not a date."""
    if value is None:
        return Interval(START, END)
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
