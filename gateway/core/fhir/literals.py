"""The values of search parameters, parsed: tokens, dates, numbers, quantities, and FHIR's escapes.

Each `parse_*` takes one OR-alternative as it stands in a `Term` (escapes kept) and raises ValueError
on what is not of that type. Dates are half-open UTC intervals; a date without a zone is read as UTC.
The prefix `ap` (approximately) is not known here: no two servers mean the same by it.
Source: FHIR search.html, sections Parameter Types, Prefixes and Escaping.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
_PREFIXES: dict[str | None, Prefix] = {None: "eq"} | {p: p for p in get_args(Prefix)}
_PREFIX = "|".join(get_args(Prefix))

START, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`system` None: any; "": the code must have none. `code` None: any code of that system."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Interval:
    """The instants from `low` up to, not including, `high`."""

    low: datetime
    high: datetime


@dataclass(frozen=True, slots=True)
class NumberValue:
    """`value` give or take half a unit of its last written digit: 5.40 means [5.395, 5.405)."""

    prefix: Prefix
    value: Decimal
    half: Decimal


@dataclass(frozen=True, slots=True)
class QuantityValue:
    number: NumberValue
    system: str | None = None
    code: str | None = None


def split(text: str, separator: str) -> list[str]:
    """`text` at each `separator` that no backslash escapes; parts keep their escapes.

    Raises ValueError when a backslash escapes anything but `,` `|` `$` or itself.
    """
    parts, position = [""], 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            character = text[position : position + 2]
            if character not in ("\\,", "\\|", "\\$", "\\\\"):
                raise ValueError("a backslash escapes only , | $ and itself")
        if character == separator:
            parts.append("")
        else:
            parts[-1] += character
        position += len(character)
    return parts


def unescape(text: str) -> str:
    """`text` without FHIR's escapes."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def parse_token(text: str) -> TokenValue:
    """`code`, `system|code`, `|code` or `system|`."""
    parts = [unescape(p) for p in split(text, "|")]
    if len(parts) > 2 or not any(parts):
        raise ValueError("not a token")
    if len(parts) == 1:
        return TokenValue(None, parts[0])
    return TokenValue(parts[0], parts[1] or None)


_DATE = re.compile(
    rf"({_PREFIX})?([0-9]{{4}})(?:-([0-9]{{2}})(?:-([0-9]{{2}})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)


@functools.lru_cache(maxsize=1024)
def parse_date(text: str) -> tuple[Prefix, Interval]:
    """A prefix (`eq` unless written) and the interval that a full or partial date stands for."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("not a date")
    prefix, year, month, day, hour, minute, second, fraction, zone = found.groups()
    # Second 60 is a leap second (FHIR dateTime allows it); it counts as the second that follows 59.
    leap = second == "60"
    low = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
        59 if leap else int(second or 0), tzinfo=UTC,
    )  # fmt: skip
    low = _clamped(low, timedelta(seconds=leap) + _fraction(fraction) - _offset(zone))
    return _PREFIXES[prefix], Interval(low, _clamped(low, _width(found, low)))


def _width(found: re.Match[str], low: datetime) -> timedelta:
    _, _, month, day, hour, _, second, fraction, _ = found.groups()
    if fraction is not None:
        return timedelta(microseconds=10 ** max(0, 7 - len(fraction)))
    for given, width in (
        (second, timedelta(seconds=1)),
        (hour, timedelta(minutes=1)),
        (day, timedelta(days=1)),
    ):
        if given is not None:
            return width
    if low.year == END.year and (month is None or low.month == 12):
        return END - low
    following = low.replace(year=low.year + 1) if month is None else _next_month(low)
    return following - low


def _next_month(low: datetime) -> datetime:
    return low.replace(year=low.year + low.month // 12, month=low.month % 12 + 1)


def _fraction(text: str | None) -> timedelta:
    return timedelta(microseconds=int((text or ".0")[1:7].ljust(6, "0")))


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("not a time zone")
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def _clamped(moment: datetime, delta: timedelta) -> datetime:
    try:
        return moment + delta
    except OverflowError:
        return END if delta > timedelta() else START


_NUMBER = re.compile(rf"({_PREFIX})?([+-]?[0-9]{{1,20}}(?:\.[0-9]{{1,20}})?(?:[eE][+-]?[0-9]{{1,2}})?)")


def parse_number(text: str) -> NumberValue:
    """A prefix (`eq` unless written) and a decimal with the precision it is written in."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("not a number")
    value = Decimal(found[2])
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("not a number")
    return NumberValue(_PREFIXES[found[1]], value, Decimal(5).scaleb(exponent - 1))


def parse_quantity(text: str) -> QuantityValue:
    """`number`, `number|system|code` or `number||code`."""
    parts = [unescape(p) for p in split(text, "|")]
    if len(parts) == 1:
        return QuantityValue(parse_number(parts[0]))
    if len(parts) != 3 or not parts[2]:
        raise ValueError("not a quantity")
    return QuantityValue(parse_number(parts[0]), parts[1] or None, parts[2])
