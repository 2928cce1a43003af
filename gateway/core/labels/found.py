"""Finds what one record says of itself: the labels that its own elements carry, and whom else to ask.

Nothing raises on odd data: what is not understood may mean anything, and counts as `UNDETERMINED`. What other
records say is `labeller`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place, place_of
from gateway.core.labels.codes import CodeTable, Row
from gateway.core.labels.elements import Noted, note
from gateway.core.labels.findings import (
    EMPLOYEE,
    PART_2,
    UNDETERMINED,
    VIP,
    Contribution,
    Edge,
    Found,
    Policy,
)
from gateway.core.labels.places import Places, TypePlaces, found_at, names_of, upto
from gateway.core.values import Ref


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds what records say of themselves. `ref_of` reads the text of a Reference to this server."""

    codes: CodeTable
    places: Places
    policy: Policy
    ref_of: Callable[[str], Ref | None]

    def find(self, kind: str, tree: dict[str, Tree], owners: frozenset[str]) -> Found:
        """What the resource `tree` of type `kind` says, with what it contains; `owners` are the ids of the
        patients that it belongs to."""
        contributions = list(self._own(kind, tree, ()))
        edges = list(self._edges(kind, tree, ()))
        if "contained" in tree:
            self._contained(kind, tree, contributions, edges)
        if self._is_part2(kind, tree):
            contributions.append(Contribution(PART_2, (), False, "a part 2 program"))
        if not owners.isdisjoint(self.policy.employees):
            contributions.append(Contribution(EMPLOYEE, (), False, "an employee"))
        if not owners.isdisjoint(self.policy.vips):
            contributions.append(Contribution(VIP, (), False, "a well-known person"))
        return Found(tuple(dict.fromkeys(contributions)), tuple(dict.fromkeys(edges)))

    # --- One resource ------------------------------------------------------------------------------

    def _own(self, kind: str, tree: dict[str, Tree], start: Place) -> Iterator[Contribution]:
        """What the resource says by its own elements; `start` is where it stands."""
        places, noted = self.places.of(kind), note(tree, drugs=kind.startswith("Medication"))
        for link, system, code in noted.codings:
            for row in self.codes.found(system, code):
                yield self._by_row(row, kind, place_of(link), start)
        for link, text in noted.products:
            for row in self.codes.drugs_in(text):
                yield self._by_row(row, kind, place_of(link), start)
        for link in noted.odd:
            yield _undetermined(places, place_of(link), start, "a code that is not understood")
        yield from _inline(places, noted, start)
        yield from _uncoded(places, noted, start)
        for names in places.free_text:
            if names[0] in tree:
                yield from _free_text(places, tree, names, start)

    def _by_row(self, row: Row, kind: str, place: Place, start: Place) -> Contribution:
        cut = self.places.of(kind).separable_at(place)
        if cut is not None and (
            row.is_separable_at(f"{kind}.{cut[0]}") or row.is_separable_at(f"*.{cut[0]}")
        ):
            return Contribution(row.label, (*start, *cut[1]), True, row.basis)
        return Contribution(row.label, (*start, *place), False, row.basis)

    # --- References --------------------------------------------------------------------------------

    def _edges(self, kind: str, tree: dict[str, Tree], start: Place) -> Iterator[Edge]:
        places = self.places.of(kind)
        for names, cut in places.upward:
            if names[0] in tree:
                for place, value in found_at(tree, names):
                    if _is_reference(value, place):
                        whole = upto(place, cut) if cut else place
                        yield Edge(self._target(value), (*start, *whole), cut > 0, ".".join(names))
        if self._has_context(places, tree):
            for names in places.context:
                if names[0] in tree:
                    for place, value in found_at(tree, names):
                        if _is_reference(value, place):
                            yield Edge(self._target(value), (*start, *place), False, "context")

    def _target(self, value: Tree) -> Ref | None:
        text = value.get("reference") if type(value) is dict else None
        return self.ref_of(text) if type(text) is str else None

    def _has_context(self, places: TypePlaces, tree: dict[str, Tree]) -> bool:
        match self.policy.context:
            case "none":
                return False
            case "all":
                return True
            case "clinical":
                return places.routine is None or not _is_routine(places.routine, tree)

    # --- The rest ----------------------------------------------------------------------------------

    def _contained(
        self, kind: str, tree: dict[str, Tree], contributions: list[Contribution], edges: list[Edge]
    ) -> None:
        """Adds what contained resources say. One goes as a whole if all that refers to it can go too."""
        resources = _resources(kind, tree)
        for index, (inside, resource) in resources.items():
            if index is None:
                continue
            said = [*self._own(inside, resource, ("contained", index))]
            asks = [*self._edges(inside, resource, ("contained", index))]
            ways = self._ways_to(resource.get("id"), resources)
            places = None if ways is None else (("contained", index), *ways)
            for one in said:
                moved = (one.place,) if one.separable or places is None else places
                separable = one.separable or places is not None
                contributions += [one._replace(place=place, separable=separable) for place in moved]
            for edge in asks:
                moved = (edge.place,) if edge.separable or places is None else places
                separable = edge.separable or places is not None
                edges += [edge._replace(place=place, separable=separable) for place in moved]

    def _ways_to(
        self, ident: Tree, resources: dict[int | None, tuple[str, dict[str, Tree]]]
    ) -> tuple[Place, ...] | None:
        """What has to go with the contained resource `ident`; None if one way to it cannot."""
        local = "#" + ident.removeprefix("#") if type(ident) is str else None
        ways: list[Place] = []
        for index, (kind, resource) in resources.items():
            start: Place = () if index is None else ("contained", index)
            for link, text in note(resource, drugs=False).locals:
                if text == local:
                    cut = self.places.of(kind).separable_at(place_of(link))
                    if cut is None:
                        return None
                    ways.append((*start, *cut[1]))
        return tuple(ways)

    def _is_part2(self, kind: str, tree: dict[str, Tree]) -> bool:
        meta, programs = tree.get("meta"), self.policy.part2_organizations
        source = meta.get("source") if type(meta) is dict else None
        if type(source) is str and source.partition("#")[0] in self.policy.part2_sources:
            return True
        return bool(programs) and any(
            str(self._target(value)) in programs
            for names in self.places.of(kind).organizations
            for _, value in found_at(tree, names)
        )


_REFERENCE: Final = frozenset(
    {"reference", "_reference", "type", "_type", "identifier", "display", "_display", "id", "extension"}
)


def _is_reference(value: Tree, place: Place) -> bool:
    """Whether what stands where References are can bring labels: not what is contained, which is looked at
    itself, and not another element. What is no element at all may be any reference."""
    if type(value) is not dict:
        # The text of a Reference, where another release has a CodeableReference.
        return not (type(value) is str and place[-1] == "reference")
    text = value.get("reference")
    return text[:1] != "#" if type(text) is str else _REFERENCE.issuperset(value)


def _undetermined(places: TypePlaces, place: Place, start: Place, basis: str) -> Contribution:
    cut = places.separable_at(place)
    return Contribution(UNDETERMINED, (*start, *(place if cut is None else cut[1])), cut is not None, basis)


def _inline(places: TypePlaces, noted: Noted, start: Place) -> Iterator[Contribution]:
    """Labels that stand on an element (DS4P, inline security labels). The element can go, unless it is the
    resource itself or says what the record is about."""
    for link, label in noted.inline:
        place = place_of(link)
        names = names_of(place)
        separable = bool(names) and not any(names[: len(path)] == path for path in places.subject)
        whole = (*place[:-1], names[-1]) if separable and isinstance(place[-1], str) else place
        yield Contribution(label, (*start, *whole), separable, "an inline label")


def _uncoded(places: TypePlaces, noted: Noted, start: Place) -> Iterator[Contribution]:
    """Concepts of text alone, where they say what the record is about, or why it is there."""
    for link in noted.uncoded:
        place = place_of(link)
        names = names_of(place)
        if any(names[: len(text)] == text for text in places.free_text):
            continue  # counted with it
        if places.separable_at(place) is not None or names in places.subject:
            yield _undetermined(places, place, start, "text without a code")


def _free_text(
    places: TypePlaces, tree: dict[str, Tree], names: tuple[str, ...], start: Place
) -> Iterator[Contribution]:
    if len(names) == 1:
        yield Contribution(UNDETERMINED, (*start, *names), True, "free text")
        return
    for place, _ in found_at(tree, names):
        yield _undetermined(places, place, start, "free text")


def _is_routine(routine: frozenset[str], tree: dict[str, Tree]) -> bool:
    """Whether all the record's categories are such that its context says nothing of it."""
    codes = {
        coding.get("code") for _, coding in found_at(tree, ("category", "coding")) if type(coding) is dict
    }
    return not routine or (bool(codes) and codes <= routine)


def _resources(kind: str, tree: dict[str, Tree]) -> dict[int | None, tuple[str, dict[str, Tree]]]:
    """The resource of type `kind` and those that it contains, with their types, by index; None for itself."""
    inner = tree["contained"]
    found: dict[int | None, tuple[str, dict[str, Tree]]] = {None: (kind, tree)}
    for index, resource in enumerate(inner if type(inner) is list else ()):
        if type(resource) is dict:
            found[index] = (str(resource.get("resourceType")), resource)
    return found
