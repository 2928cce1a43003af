"""Where in a record labels come from, by type: what carries them here, and what can be taken out alone.

Read from `mappings/label-places.json`; `*` stands for every type. A path is dotted element names as JSON
spells them, without indexes. A path is separable if the record still says what it says without it; text that
nobody coded is always taken out alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place
from gateway.core.labels.codes import ANYWHERE, HEADER, check_keys, is_texts

Names = tuple[str, ...]
"""A path, name by name."""

_LISTS: Final = ("separable", "upward", "context", "freeText", "subject", "organizations")
_PATH: Final = re.compile(r"[a-z][A-Za-z]*(\.[a-z][A-Za-z]*)*")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]+|\*")


@dataclass(frozen=True, slots=True)
class TypePlaces:
    """The places of one type. `upward`: references to what a record of the type speaks of, each with how many
    of its names lead to what would be taken out with it, 0 if it cannot be; `context`: to the encounter or
    episode that it belongs to; `subject`: what it is about; `organizations`: who made it. `routine`: None, or
    the categories (none: all) of the records that are the same whatever the context."""

    separable: tuple[Names, ...]
    upward: tuple[tuple[Names, int], ...]
    context: tuple[Names, ...]
    free_text: tuple[Names, ...]
    subject: tuple[Names, ...]
    organizations: tuple[Names, ...]
    routine: frozenset[str] | None

    def separable_at(self, place: Place) -> tuple[str, Place] | None:
        """The path and place of what would be taken out to take out `place`; None if it cannot be, without
        the rest."""
        steps = names_of(place)
        length = _leading(steps, self.separable)
        return (".".join(steps[:length]), upto(place, length)) if length else None


@dataclass(frozen=True, slots=True)
class Places:
    """All types; one that the table does not name has what `*` has."""

    _types: Mapping[str, TypePlaces]
    _others: TypePlaces
    _separable: frozenset[str]

    def of(self, kind: str) -> TypePlaces:
        return self._types.get(kind, self._others)

    def knows(self, place: str) -> bool:
        """Whether `place`, as `Type.path` or `*.path`, is a separable one."""
        return place in self._separable


def parse_places(table: Any) -> Places:
    """The table. Raises ValueError naming the place that is wrong."""
    name = "label-places.json"
    check_keys(table, HEADER | {"about", "routine", *_LISTS}, name)
    lists = {key: _lists(table[key], f"{name} {key}") for key in _LISTS}
    routine = table["routine"]
    if not isinstance(routine, Mapping) or not all(isinstance(value, list) for value in routine.values()):
        raise ValueError(f"{name} routine: is lists of categories by type")
    types = {kind for rows in (*lists.values(), routine) for kind in rows} - {ANYWHERE}
    known = {kind: _places(kind, lists, routine) for kind in types}
    separable = {f"{kind}.{path}" for kind, paths in lists["separable"].items() for path in paths}
    return Places(known, _places(ANYWHERE, lists, routine), frozenset(separable))


def _lists(rows: Any, place: str) -> Mapping[str, list[str]]:
    if not isinstance(rows, Mapping):
        raise ValueError(f"{place}: is not an object")
    for kind, paths in rows.items():
        if _TYPE.fullmatch(kind) is None or not is_texts(paths) or not all(map(_PATH.fullmatch, paths)):
            raise ValueError(f"{place}.{kind}: is not a list of paths")
        if len(set(paths)) != len(paths):
            raise ValueError(f"{place}.{kind}: names a path twice")
    return rows


def _places(
    kind: str, lists: Mapping[str, Mapping[str, list[str]]], routine: Mapping[str, list[str]]
) -> TypePlaces:
    def paths(key: str) -> tuple[Names, ...]:
        rows = lists[key]
        named = dict.fromkeys([*rows.get(ANYWHERE, ()), *rows.get(kind, ())])
        return tuple(tuple(path.split(".")) for path in named)

    text = paths("freeText")
    separable = tuple(dict.fromkeys([*paths("separable"), *text]))
    return TypePlaces(
        separable=separable,
        upward=tuple((path, _leading(path, separable)) for path in paths("upward")),
        context=paths("context"),
        free_text=text,
        subject=paths("subject"),
        organizations=paths("organizations"),
        routine=frozenset(routine[kind]) if kind in routine else None,
    )


# --- Paths in a tree -------------------------------------------------------------------------------


def found_at(node: Tree, names: Names, start: Place = ()) -> Iterator[tuple[Place, Tree]]:
    """The values at a path, lists opened, with where they stand."""
    if type(node) is list:
        for index, item in enumerate(node):
            yield from found_at(item, names, (*start, index))
    elif not names:
        yield start, node
    elif type(node) is dict and names[0] in node:
        yield from found_at(node[names[0]], names[1:], (*start, names[0]))


def names_of(place: Place) -> Names:
    """The element names of a place; where JSON keeps an element's extensions stands for the element."""
    return tuple(step.removeprefix("_") for step in place if isinstance(step, str))


def _leading(steps: Names, paths: tuple[Names, ...]) -> int:
    """How many of the steps are the first of `paths` that they begin with; 0 for none."""
    return next((len(path) for path in paths if steps[: len(path)] == path), 0)


def upto(place: Place, names: int) -> Place:
    """The beginning of a place with so many names, and the index behind the last of them."""
    end = 0
    while names or (end < len(place) and isinstance(place[end], int)):
        names -= isinstance(place[end], str)
        end += 1
    return place[:end]
