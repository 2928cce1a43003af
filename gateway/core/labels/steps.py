"""Paths of element names, as the tables of places write them, and where they lead in a record.

A path has the names as JSON spells them, without indexes. A step `item**` is an element inside which it may
stand again, however deep and whatever is between: `item`, `item.item`, `item.answer.item`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place

Names = tuple[str, ...]
"""A path, step by step; or the element names of a place."""

AGAIN: Final = "**"


class Paths:
    """A set of paths, asked whether it has the names of a place."""

    def __init__(self, paths: Iterable[Names]) -> None:
        whole = tuple(dict.fromkeys(paths))
        self._plain = frozenset(path for path in whole if not _is_deep(path))
        self._deep = tuple(path for path in whole if _is_deep(path))

    def __contains__(self, names: Names) -> bool:
        return names in self._plain or any(leads_to(path, names) for path in self._deep)

    def begins(self, names: Names) -> bool:
        """Whether one of the paths leads to the names or to the first of them."""
        return any(names[:length] in self for length in range(1, len(names) + 1))


def _is_deep(path: Names) -> bool:
    return any(step.endswith(AGAIN) for step in path)


def leads_to(path: Names, names: Names) -> bool:
    """Whether the path can lead to just these names."""
    if not path or not names:
        return not path and not names
    name = path[0].removesuffix(AGAIN)
    if names[0] != name:
        return False
    if name == path[0]:
        return leads_to(path[1:], names[1:])
    return any(leads_to(path[1:], names[at:]) for at in range(1, len(names) + 1) if names[at - 1] == name)


def found_at(node: Tree, path: Names, start: Place = ()) -> Iterator[tuple[Place, Tree]]:
    """The values at a path, lists opened, with where they stand."""
    if type(node) is list:
        for index, item in enumerate(node):
            yield from found_at(item, path, (*start, index))
    elif not path:
        yield start, node
    elif type(node) is dict:
        name = path[0].removesuffix(AGAIN)
        if name in node:
            if name == path[0]:
                yield from found_at(node[name], path[1:], (*start, name))
            else:
                yield from _found_again(node[name], name, path[1:], (*start, name))


def _found_again(node: Tree, name: str, rest: Names, start: Place) -> Iterator[tuple[Place, Tree]]:
    """What is at `rest` in the elements `node`, and in those called `name` somewhere in them."""
    yield from found_at(node, rest, start)
    for place, inner in _called(node, name, start):
        yield from found_at(inner, rest, place)


def _called(node: Tree, name: str, start: Place) -> Iterator[tuple[Place, Tree]]:
    if type(node) is list:
        for index, item in enumerate(node):
            yield from _called(item, name, (*start, index))
    elif type(node) is dict:
        for key, value in node.items():
            if key == name:
                yield (*start, key), value
            yield from _called(value, name, (*start, key))


def names_of(place: Place) -> Names:
    """The element names of a place; where JSON keeps an element's extensions stands for the element."""
    return tuple(step.removeprefix("_") for step in place if isinstance(step, str))


def leading(names: Names, paths: Iterable[Names]) -> int:
    """How many of the names are the first of `paths` that they begin with; 0 for none."""
    plain = tuple(name.removesuffix(AGAIN) for name in names)
    return next((len(path) for path in paths if plain[: len(path)] == path), 0)


def upto(place: Place, names: int) -> Place:
    """The beginning of a place with so many names, and the index behind the last of them."""
    end = 0
    while names or (end < len(place) and isinstance(place[end], int)):
        names -= isinstance(place[end], str)
        end += 1
    return place[:end]
