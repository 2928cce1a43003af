"""What belongs to a case: from its root along named references and no others, as a tree of links.

A `CaseRule` is one line of `cases` in `mappings/content-*.json` (format in mappings/README.md), parsed
strictly. Being a tree it has an end, whatever the records refer to. It knows places, and follows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.fhir.paths import Path


@dataclass(frozen=True, slots=True)
class Inward:
    """Records of `type` that refer at `path` to one that was reached; both None: records of any type, at the
    elements for the encounter they were made in. `search` is the parameter that finds them, needed where
    others are reached through them."""

    type: str | None
    path: Path | None
    search: str | None
    rule: CaseRule

    @property
    def name(self) -> str:
        return "*" if self.type is None or self.path is None else f"{self.type}.{self.path.text}"


@dataclass(frozen=True, slots=True)
class CaseRule:
    """`outward`: elements whose targets belong to the case; `inward`: records that refer to one that does.
    Each with what is reached from there. `takes_place`: the values of `status` with which a root, if it has
    a time, is going to take place, does, or did."""

    outward: tuple[tuple[Path, CaseRule], ...] = ()
    inward: tuple[Inward, ...] = ()
    takes_place: frozenset[str] = frozenset()

    @property
    def is_end(self) -> bool:
        return not self.outward and not self.inward


def inward_links(rule: CaseRule) -> Iterator[Inward]:
    """All inward links of the tree."""
    for link in rule.inward:
        yield link
        yield from inward_links(link.rule)
    for _, below in rule.outward:
        yield from inward_links(below)


def parse_case_table(rows: Any) -> dict[str, CaseRule]:
    """Type of the root to rule. Raises ValueError naming the place that is wrong."""
    if not isinstance(rows, Mapping):
        raise ValueError("cases: is not an object")
    return {type_: _root(row, f"cases.{type_}") for type_, row in rows.items()}


def _root(row: Any, place: str) -> CaseRule:
    if not isinstance(row, Mapping) or "takesPlace" not in row:
        return _rule(row, place)
    statuses = row["takesPlace"]
    if not isinstance(statuses, list) or not statuses or not all(isinstance(one, str) for one in statuses):
        raise ValueError(f"{place}.takesPlace: is not a list of codes")
    rule = _rule({key: value for key, value in row.items() if key != "takesPlace"}, place)
    return replace(rule, takes_place=frozenset(statuses))


def _rule(row: Any, place: str) -> CaseRule:
    if not isinstance(row, Mapping) or row.keys() - {"out", "in"}:
        raise ValueError(f"{place}: is not a rule of out and in")
    outward = [(_path(at, place), _rule(below, f"{place}.{at}")) for at, below in _links(row, "out", place)]
    return CaseRule(
        tuple(outward), tuple(_inward(at, below, place) for at, below in _links(row, "in", place))
    )


def _inward(at: str, row: Any, place: str) -> Inward:
    if not isinstance(row, Mapping):
        raise ValueError(f"{place}.{at}: is not an object")
    search = row.get("search")
    rule = _rule({key: value for key, value in row.items() if key != "search"}, f"{place}.{at}")
    if isinstance(search, str) == rule.is_end:
        raise ValueError(f"{place}.{at}: what is searched is what others are reached through")
    type_, _, path = at.partition(".")
    if at == "*" and rule.is_end:
        return Inward(None, None, None, rule)
    return Inward(type_, _path(path, f"{place}.{at}"), search, rule)


def _links(row: Mapping[str, Any], key: str, place: str) -> list[tuple[str, Any]]:
    links = row.get(key, {})
    if not isinstance(links, Mapping):
        raise ValueError(f"{place}.{key}: is not an object")
    return list(links.items())


def _path(text: str, place: str) -> Path:
    try:
        return Path.parse(text)
    except ValueError as wrong:
        raise ValueError(f"{place}: {wrong}") from wrong
