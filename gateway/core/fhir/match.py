"""Whether a resource satisfies a search term, decided on its JSON.

Used for the constraints of granular SMART scopes, so unknown never helps: a term that cannot be
evaluated here, or an element of an unexpected shape, does not match. Composite and special
parameters, and modifiers besides `:exact` (string) and `:not` (token), are not evaluable.
Source: FHIR search.html (R4, R5), Parameter Types.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from gateway.core.fhir.catalogue import Catalogue, Param
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
from gateway.core.fhir.paths import walk
from gateway.core.values import Term

# Whether one element value (from the resource) matches one OR-alternative (from the term).
Matcher = Callable[[object, Sequence[str]], bool]


def evaluable(catalogue: Catalogue, type_: str, term: Term) -> bool:
    """Whether `satisfies` can decide `term` on resources of `type_`."""
    return _matchers(catalogue, type_, term) is not None


def satisfies(catalogue: Catalogue, resource: object, term: Term, bases: Sequence[str]) -> bool:
    """Whether one of the term's values holds for `resource`; `bases` as in `compartment`."""
    type_ = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(type_, str):
        return False
    found = _matchers(catalogue, type_, term)
    if found is None:
        return False
    param, matchers = found
    values = [v for path in param.paths for v in walk(resource, path)]
    if term.modifier == "not":
        # FHIR: `:not` holds for resources without the element too; but not for one nobody understands.
        return all(any(True for _ in codes(v)) for v in values) and not _any(values, matchers, bases)
    return _any(values, matchers, bases)


def _any(values: Iterable[object], matchers: Sequence[Matcher], bases: Sequence[str]) -> bool:
    return any(matches(value, bases) for value in values for matches in matchers)


def _matchers(catalogue: Catalogue, type_: str, term: Term) -> tuple[Param, tuple[Matcher, ...]] | None:
    param = catalogue.param(type_, term.name)
    if param is None or not param.paths or not term.values:
        return None
    found = _compiled("_id" if param.name == "_id" else param.type, term.modifier, term.values)
    return None if found is None else (param, found)


@functools.lru_cache(maxsize=4096)
def _compiled(kind: str, modifier: str | None, values: tuple[str, ...]) -> tuple[Matcher, ...] | None:
    """One matcher a value, or None when the kind, the modifier or one of the values is not known."""
    build = _BUILDERS.get((kind, modifier))
    if build is None:
        return None
    try:
        return tuple(build(value) for value in values)
    except ValueError:
        return None


# --- token --------------------------------------------------------------------------------------


def _token(text: str) -> Matcher:
    wanted = parse_token(text)
    return lambda value, _: any(_same(wanted, system, code) for system, code in codes(value))


def _same(wanted: TokenValue, system: str | None, code: str | None) -> bool:
    if wanted.system is not None and wanted.system != system:
        return False
    return wanted.code is None or (code is not None and wanted.code.casefold() == code.casefold())


def _id(text: str) -> Matcher:
    wanted = unescape(text)
    return lambda value, _: value == wanted


# --- reference, uri, string -----------------------------------------------------------------------


def _reference(text: str) -> Matcher:
    plain = unescape(text)

    def matches(value: object, bases: Sequence[str]) -> bool:
        if isinstance(value, str):  # a canonical, with or without its version
            return value == plain or value.startswith(plain + "|")
        wanted, found = parse_reference(plain, bases), reference_of(value, bases)
        return wanted is not None and wanted == found

    return matches


def _uri(text: str) -> Matcher:
    wanted = unescape(text)
    return lambda value, _: isinstance(value, str) and value == wanted


def _string(text: str) -> Matcher:
    wanted = folded(unescape(text))
    if not wanted:
        raise ValueError("an empty text starts everything")
    return lambda value, _: any(folded(t).startswith(wanted) for t in texts(value))


def _exact(text: str) -> Matcher:
    wanted = unescape(text)
    return lambda value, _: any(t == wanted for t in texts(value))


# --- date, number, quantity -----------------------------------------------------------------------


def _date(text: str) -> Matcher:
    prefix, wanted = parse_date(text)
    return lambda value, _: any(_compare(prefix, wanted, found) for found in intervals(value))


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

    def matches(value: object, _: Sequence[str]) -> bool:
        # A comparator (`<5`) makes the value a range of unknown end.
        if not isinstance(value, dict) or "comparator" in value:
            return False
        if wanted.system is not None and value.get("system") != wanted.system:
            return False
        if wanted.code is not None and wanted.code not in _units(value, with_text=wanted.system is None):
            return False
        return _close(wanted.number, decimal(value.get("value")))

    return matches


def _units(quantity: dict[str, Any], *, with_text: bool) -> tuple[object, ...]:
    return (quantity.get("code"), quantity.get("unit")) if with_text else (quantity.get("code"),)


def _close(wanted: NumberValue, found: Decimal | None) -> bool:
    if found is None:
        return False
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
