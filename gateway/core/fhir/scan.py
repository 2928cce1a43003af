"""One walk through a resource, noting what may have to change: References, addresses, narrative.

Most values are passed over, so where a value stands is kept as a link to its parent, and spelled out as a
place only for what was noted. Nothing is judged here; nothing raises on odd data.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

from gateway.core.fhir.codec import Tree

Place = tuple["str | int", ...]
"""The keys and indexes that lead to a value in a resource."""

Link: TypeAlias = "tuple[Link, str | int] | None"
"""Where a value stands: its parent's link and its own key or index; None is the resource itself."""

SIGNS: Final = frozenset({"reference", "_reference", "identifier", "_identifier", "display", "_display"})
"""Members that an object may have because it is a Reference."""
FETCHED: Final = frozenset({"url", "valueUrl"})
"""Members that hold an address to fetch from (R4 datatypes, url), and not only a name."""


class Scan(NamedTuple):
    """What was noted below a value: objects with a member of `SIGNS`, texts that hold an address or stand
    at a place for one, and where there is narrative."""

    objects: list[tuple[Link, dict[str, Tree]]]
    texts: list[tuple[Link, str]]
    narratives: list[Link]


def scan(root: dict[str, Tree], start: Link, *, texts: bool) -> Scan:
    """Notes everything in the resource `root`, which stands at `start`, but for what is `contained` in it.
    Texts are noted only if asked for: few resources have one that matters."""
    noted = Scan([], [], [])
    if "contained" in root:
        root = {name: value for name, value in root.items() if name != "contained"}
    _object(root, start, texts, noted)
    return noted


# Recursion goes as deep as `codec.MAX_DEPTH` at most, and needs no list of what is left to do, which for a
# hostile document would be as long as the document.


def _object(node: dict[str, Tree], link: Link, texts: bool, noted: Scan) -> None:
    if not SIGNS.isdisjoint(node):
        noted.objects.append((link, node))
    for key, value in node.items():
        kind = type(value)
        if kind is str:
            if texts and ("://" in value or key in FETCHED):
                noted.texts.append(((link, key), value))
        elif kind is dict:
            if key == "text" and "div" in value:
                noted.narratives.append((link, key))
            _object(value, (link, key), texts, noted)
        elif kind is list:
            _array(value, (link, key), texts, noted)


def _array(node: list[Tree], link: Link, texts: bool, noted: Scan) -> None:
    for index, value in enumerate(node):
        kind = type(value)
        if kind is dict:
            _object(value, (link, index), texts, noted)
        elif kind is list:
            _array(value, (link, index), texts, noted)
        elif texts and kind is str and "://" in value:
            noted.texts.append(((link, index), value))


def place_of(link: Link) -> Place:
    """The place that `link` stands for."""
    steps: list[str | int] = []
    while link is not None:
        link, step = link
        steps.append(step)
    return tuple(reversed(steps))


def pointer(place: Place) -> str:
    """The place as a JSON Pointer in the form of a URI fragment (RFC 6901 section 6): no blanks, ASCII."""
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in place]
    return "#" + "".join([f"/{quote(step, safe='~')}" for step in steps])


def element_of(link: Link, start: Link) -> str:
    """The element's path in its own resource, which stands at `start`: `participant.actor`."""
    steps: list[str] = []
    while link is not None and link is not start:
        link, step = link
        if type(step) is str:
            steps.append(step)
    return ".".join(reversed(steps))
