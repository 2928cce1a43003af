"""How each kind of search parameter compares: a text of the term becomes a test of one element's value.

A test says yes, no, or None: the value is there and does not say enough. Parameters and paths are the
business of `match`.
Source: FHIR search.html (R4, R5), Parameter Types.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from gateway.core.fhir.compartment import parse_reference, reference_of
from gateway.core.fhir.elements import codes, decimal, folded, intervals, texts
from gateway.core.fhir.literals import (
    Interval,
    NumberValue,
    Prefix,
    TokenValue,
    parse_date,
    parse_number,
    parse_quantity,
    parse_token,
    unescape,
)
from gateway.core.fhir.systems import same_system

# Whether one element value (from the resource) matches one OR-alternative (from the term).
Matcher = Callable[[object, Sequence[str]], bool | None]


@functools.lru_cache(maxsize=4096)
def matchers_of(kind: str, modifier: str | None, values: tuple[str, ...]) -> tuple[Matcher, ...] | None:
    """One matcher a value, or None when the kind, the modifier or one of the values is not known."""
    build = _BUILDERS.get((kind, modifier))
    if build is None:
        return None
    try:
        return tuple(build(value) for value in values)
    except ValueError:
        return None


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Yes if one of them is a yes; no if all are a no."""
    known = frozenset(answers)
    return True if True in known else None if None in known else False


def all_of(*answers: bool | None) -> bool | None:
    """No if one of them is a no; yes if all are a yes."""
    return False if False in answers else None if None in answers else True


# --- token --------------------------------------------------------------------------------------


def _token(text: str) -> Matcher:
    wanted = parse_token(text)
    return lambda value, _: any_of(_same(wanted, system, code) for system, code in codes(value))


def _same(wanted: TokenValue, system: str | None, code: str | None) -> bool | None:
    return all_of(_same_system(wanted.system, system), _same_code(wanted.code, code))


def _same_system(wanted: str | None, found: str | None) -> bool | None:
    if wanted is None:
        return True
    # A code without a system may be one of any system.
    if found is None or (wanted and not found):
        return None
    return wanted == found or (bool(wanted) and same_system(wanted, found))


def _same_code(wanted: str | None, found: str | None) -> bool | None:
    if wanted is None:
        return True
    return None if found is None else wanted.casefold() == found.casefold()


def _id(text: str) -> Matcher:
    wanted = unescape(text)
    return lambda value, _: value == wanted if isinstance(value, str) else None


# --- reference, uri, string -----------------------------------------------------------------------


def _reference(text: str) -> Matcher:
    plain = unescape(text)
    if "/" not in plain and ":" not in plain:
        raise ValueError("an id without a type may mean any")

    def matches(value: object, bases: Sequence[str]) -> bool | None:
        if isinstance(value, str):
            return same_canonical(plain, value)
        wanted, found = parse_reference(plain, bases), reference_of(value, bases)
        if wanted is None:
            return None
        return wanted == found if found is not None else _elsewhere(value, wanted.id)

    return matches


def same_canonical(wanted: str, found: str) -> bool | None:
    """A canonical matches with or without its version; one that does not say its version may be any."""
    if wanted == found or found.startswith(wanted + "|"):
        return True
    return None if wanted.startswith(found + "|") else False


def _elsewhere(reference: object, id_: str) -> bool | None:
    """No for a reference to another server's record of another id. One by identifier, or to something
    contained, or to the same id by another address, may mean the record all the same."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str) or "/" not in text or id_ in text.split("/"):
        return None
    return False


def _uri(text: str) -> Matcher:
    wanted = unescape(text)
    return lambda value, _: value == wanted if isinstance(value, str) else None


def _string(text: str) -> Matcher:
    wanted = folded(unescape(text))
    if not wanted:
        raise ValueError("an empty text starts everything")
    return lambda value, _: any_of(None if t is None else folded(t).startswith(wanted) for t in texts(value))


def _exact(text: str) -> Matcher:
    wanted = unescape(text)
    return lambda value, _: any_of(None if t is None else t == wanted for t in texts(value))


# --- date, number, quantity -----------------------------------------------------------------------


def _date(text: str) -> Matcher:
    prefix, wanted = parse_date(text)
    return lambda value, _: any_of(
        None if found is None else _compare(prefix, wanted, found) for found in intervals(value)
    )


def _compare(prefix: Prefix, wanted: Interval, found: Interval) -> bool:
    inside = wanted.low <= found.low and found.high <= wanted.high
    above, below = found.high > wanted.high, found.low < wanted.low
    match prefix:
        case "eq":
            return inside
        case "ne":
            return not inside
        case "gt":
            return above
        case "lt":
            return below
        case "ge":
            return above or inside
        case "le":
            return below or inside
        case "sa":
            return found.low >= wanted.high
        case "eb":
            return found.high <= wanted.low


def _number(text: str) -> Matcher:
    wanted = parse_number(text)
    return lambda value, _: _close(wanted, decimal(value))


def _quantity(text: str) -> Matcher:
    wanted = parse_quantity(text)

    def matches(value: object, _: Sequence[str]) -> bool | None:
        if not isinstance(value, dict):
            return None
        # A comparator (`<5`) makes the value a range of unknown end.
        close = None if "comparator" in value else _close(wanted.number, decimal(value.get("value")))
        unit = _same_unit(wanted.code, value, with_text=wanted.system is None)
        return all_of(close, unit, _same_text(wanted.system, value.get("system")))

    return matches


def _same_unit(wanted: str | None, quantity: dict[str, Any], *, with_text: bool) -> bool | None:
    """The unit's code; without a system the unit as printed will do."""
    names = ("code", "unit") if with_text else ("code",)
    return any_of(_same_text(wanted, quantity.get(name)) for name in names)


def _same_text(wanted: str | None, found: object) -> bool | None:
    if wanted is None:
        return True
    return found == wanted if isinstance(found, str) else None


def _close(wanted: NumberValue, found: Decimal | None) -> bool | None:
    if found is None:
        return None
    inside = wanted.value - wanted.half <= found < wanted.value + wanted.half
    match wanted.prefix:
        case "eq":
            return inside
        case "ne":
            return not inside
        case "gt" | "sa":
            return found > wanted.value
        case "lt" | "eb":
            return found < wanted.value
        case "ge":
            return found >= wanted.value
        case "le":
            return found <= wanted.value


_BUILDERS: dict[tuple[str, str | None], Callable[[str], Matcher]] = {
    ("_id", None): _id,
    ("token", None): _token,
    ("token", "not"): _token,
    ("reference", None): _reference,
    ("uri", None): _uri,
    ("string", None): _string,
    ("string", "exact"): _exact,
    ("date", None): _date,
    ("number", None): _number,
    ("quantity", None): _quantity,
}
