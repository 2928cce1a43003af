"""A place in a FHIR JSON tree with its FHIRPath: what is wrong there is noted, and reading goes on.

So one reading finds every problem. What is noted as a problem has no value: the reader gets None or nothing,
and nothing that it makes of the rest may be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Final

from gateway.core.fhir.codec import Tree

_ANYWHERE: Final = frozenset({"id", "extension", "modifierExtension"})
"""Members of any element (FHIR types.html, BackboneElement). `modifiers` finds `modifierExtension`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """`place` is a FHIRPath such as `Consent.provision.provision[1].actor[0].reference`."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(slots=True)
class Notes:
    """What was found on the way: `problems` refuse, `warnings` are for whoever wrote it."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Element:
    tree: dict[str, Tree]
    place: str
    notes: Notes

    def each(self, name: str) -> list[Element]:
        """The objects at `name`, whether it repeats or not; none if it is absent. FHIR has no empty ones."""
        value, place = self.tree.get(name, _ABSENT), f"{self.place}.{name}"
        if value is _ABSENT:
            return []
        if type(value) is dict and value:
            return [Element(value, place, self.notes)]
        if type(value) is list and value and all(type(one) is dict and one for one in value):
            return [Element(one, f"{place}[{number}]", self.notes) for number, one in enumerate(value)]
        self.refuse("is not one or more objects", name)
        return []

    def one(self, name: str) -> Element | None:
        """The object at `name`; None if it is absent, or there are several."""
        found = self.each(name)
        if len(found) > 1:
            self.refuse("is there more than once", name)
            return None
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """The text at `name`; None if it is absent. One with extensions in the place of its value is a
        problem: what it says cannot be told (FHIR json.html, primitives)."""
        value = self.tree.get(name, _ABSENT)
        if value is _ABSENT:
            if f"_{name}" in self.tree:
                self.refuse("has no value", name)
            return None
        if type(value) is not str or not value.strip():
            self.refuse("is not a text", name)
            return None
        return value

    def only(self, names: Set[str]) -> None:
        """Refuses every member that is not one of `names`: it could change what the element means."""
        for name in self.tree:
            if name.removeprefix("_") not in names and name not in _ANYWHERE:
                self.refuse("is not known in this release of FHIR", name)

    def refuse(self, text: str, name: str | None = None) -> None:
        self.notes.problems.append(Problem(self._place(name), text))

    def warn(self, text: str, name: str | None = None) -> None:
        self.notes.warnings.append(Problem(self._place(name), text))

    def _place(self, name: str | None) -> str:
        return self.place if name is None else f"{self.place}.{name}"


def modifiers(tree: Tree, place: str) -> Iterator[str]:
    """The places of all modifier extensions in the tree, but for those of contained resources, which are not
    read (FHIR extensibility.html: who does not understand one may not process the element)."""
    if type(tree) is list:
        for number, one in enumerate(tree):
            yield from modifiers(one, f"{place}[{number}]")
    elif type(tree) is dict:
        for name, value in tree.items():
            if name == "modifierExtension":
                yield f"{place}.{name}"
            elif name != "contained":
                yield from modifiers(value, f"{place}.{name}")


_ABSENT: Final = object()
