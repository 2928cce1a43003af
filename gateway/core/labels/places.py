"""Where in a record labels come from, by type: what carries them here, and what can be taken out alone.

Read from `mappings/label-places.json`, where `*` stands for every type, and for words from the table of texts
of a FHIR release, by the data types of its elements. A path is separable if the record still says what it
says without it. Words that nobody coded are taken out alone, with what cannot be there without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.core.fhir.scan import Place
from gateway.core.labels.codes import ANYWHERE, HEADER, check_keys, is_texts
from gateway.core.labels.steps import Names, Paths, leading, names_of, upto

_LISTS: Final = (
    "separable",
    "upward",
    "context",
    "freeText",
    "named",
    "subject",
    "organizations",
    "whereabouts",
)
_PATH: Final = re.compile(r"[a-z][A-Za-z]*(\*\*)?(\.[a-z][A-Za-z]*(\*\*)?)*")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]+|\*")
_FIELD: Final = re.compile("words|required")


@dataclass(frozen=True, slots=True)
class TypePlaces:
    """The places of one type. `upward`: references to what a record of the type speaks of, each with how many
    of its names lead to what would be taken out with it, 0 if it cannot be; `context`: to the encounter or
    episode that it belongs to; `free_text`: words, the same as `words`; `required`: what must be in the
    element that has it; `subject`: what it is about; `organizations`: who made it; `whereabouts`: where
    somebody is found. `routine`: None, or the categories (none: all) of the records that are the same
    whatever the context."""

    separable: tuple[Names, ...]
    upward: tuple[tuple[Names, int], ...]
    context: tuple[Names, ...]
    free_text: tuple[Names, ...]
    words: Paths
    required: Paths
    subject: tuple[Names, ...]
    organizations: tuple[Names, ...]
    whereabouts: tuple[Names, ...]
    routine: frozenset[str] | None

    def separable_at(self, place: Place) -> tuple[str, Place] | None:
        """The path and place of what would be taken out to take out `place`; None if it cannot be, without
        the rest."""
        names = names_of(place)
        length = leading(names, self.separable)
        return (".".join(names[:length]), upto(place, length)) if length else None

    def without_words(self, place: Place) -> Place | None:
        """What would be taken out to take out the words at `place`; None if the rest says nothing without."""
        names = names_of(place)
        if "modifierExtension" in place:
            return None  # without it, the rest would mean another thing
        for end in range(len(place) - 1, -1, -1):
            if place[end] == "extension":
                return place[: end + 2]
        if leading(names, self.subject):
            return None
        cut = self.separable_at(place)
        if cut is not None:
            return cut[1]
        length = len(names)
        while length > 1 and names[:length] in self.required:
            length -= 1
        return upto(place, length)


@dataclass(frozen=True, slots=True)
class Places:
    """All types; one that the tables do not name has what `*` has. `_named` are how the addresses of the
    extensions begin whose words are names."""

    _types: Mapping[str, TypePlaces]
    _others: TypePlaces
    _separable: frozenset[str]
    _named: tuple[str, ...]

    def of(self, kind: str) -> TypePlaces:
        return self._types.get(kind, self._others)

    def knows(self, place: str) -> bool:
        """Whether `place`, as `Type.path` or `*.path`, is a separable one."""
        return place in self._separable

    def is_named(self, address: str) -> bool:
        """Whether the words of the extension with this address name somebody or something."""
        return address.startswith(self._named)


class Texts(NamedTuple):
    """Where one type has words, and which of its inner elements are required."""

    words: tuple[Names, ...] = ()
    required: tuple[Names, ...] = ()


def parse_texts(table: Any, name: str, version: str) -> Mapping[str, Texts]:
    """The texts of each type of the FHIR `version`, in the file `name`. Raises ValueError naming the place
    that is wrong."""
    check_keys(table, frozenset({"origin", "licence", "fhirVersion", "types"}), name)
    if table["fhirVersion"] != version or not isinstance(table["types"], Mapping):
        raise ValueError(f"{name}: is not of FHIR {version}")
    found: dict[str, Texts] = {}
    for kind, row in table["types"].items():
        check_keys(row, frozenset(Texts._fields), f"{name} {kind}")
        lists = _lists(row, f"{name} {kind}", _FIELD)
        found[kind] = Texts(*(tuple(map(_steps, lists[key])) for key in Texts._fields))
    return found


_NO_TEXTS: Final[Mapping[str, Texts]] = {}


def parse_places(table: Any, texts: Mapping[str, Texts] = _NO_TEXTS) -> Places:
    """The table, with the `texts` of one release. Raises ValueError naming the place that is wrong."""
    name = "label-places.json"
    check_keys(table, HEADER | {"about", "routine", "namedExtensions", *_LISTS}, name)
    lists = {key: _lists(table[key], f"{name} {key}") for key in _LISTS}
    routine = table["routine"]
    if not isinstance(routine, Mapping) or not all(isinstance(value, list) for value in routine.values()):
        raise ValueError(f"{name} routine: is lists of categories by type")
    if not is_texts(table["namedExtensions"]):
        raise ValueError(f"{name} namedExtensions: is not a list of addresses")
    types = {kind for rows in (*lists.values(), routine, texts) for kind in rows} - {ANYWHERE}
    known = {kind: _places(kind, lists, routine, texts.get(kind, Texts())) for kind in types}
    separable = {f"{kind}.{path}" for kind, paths in lists["separable"].items() for path in paths}
    others = _places(ANYWHERE, lists, routine, Texts())
    return Places(known, others, frozenset(separable), tuple(table["namedExtensions"]))


def _lists(rows: Any, place: str, key: re.Pattern[str] = _TYPE) -> Mapping[str, list[str]]:
    if not isinstance(rows, Mapping):
        raise ValueError(f"{place}: is not an object")
    for kind, paths in rows.items():
        if key.fullmatch(kind) is None or not _are_paths(paths, place):
            raise ValueError(f"{place}.{kind}: is not a list of paths")
        if len(set(paths)) != len(paths):
            raise ValueError(f"{place}.{kind}: names a path twice")
    return rows


def _are_paths(paths: Any, place: str) -> bool:
    """Whether it is a list of paths; that of a type all whose words are names has `*` alone."""
    if place.endswith(" named") and paths == [ANYWHERE]:
        return True
    return isinstance(paths, list) and all(isinstance(path, str) and _PATH.fullmatch(path) for path in paths)


def _steps(path: str) -> Names:
    return tuple(path.split("."))


def _places(
    kind: str,
    lists: Mapping[str, Mapping[str, list[str]]],
    routine: Mapping[str, list[str]],
    texts: Texts,
) -> TypePlaces:
    def paths(key: str) -> tuple[Names, ...]:
        rows = lists[key]
        return tuple(map(_steps, dict.fromkeys([*rows.get(ANYWHERE, ()), *rows.get(kind, ())])))

    whole, named = paths("freeText"), paths("named")
    some = [] if named == ((ANYWHERE,),) else [path for path in texts.words if path not in named]
    text = (*whole, *(path for path in some if not leading(path, whole)))
    separable = tuple(dict.fromkeys([*paths("separable"), *whole]))
    return TypePlaces(
        separable=separable,
        upward=tuple((path, leading(path, separable)) for path in paths("upward")),
        context=paths("context"),
        free_text=text,
        words=Paths(text),
        required=Paths(texts.required),
        subject=paths("subject"),
        organizations=paths("organizations"),
        whereabouts=paths("whereabouts"),
        routine=frozenset(routine[kind]) if kind in routine else None,
    )
