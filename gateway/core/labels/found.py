"""Finds what one record says of itself: the labels that its own elements carry, and whom else to ask.

Nothing raises on odd data: what is not understood may mean anything, and counts as `UNDETERMINED`. What other
records say is `labeller`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.content_table import ContentRow
from gateway.core.fhir.meta import LABEL_ELEMENTS
from gateway.core.fhir.scan import SIGNS, Place, place_of
from gateway.core.labels.age import aged, born_of
from gateway.core.labels.codes import CodeTable, Row
from gateway.core.labels.elements import Noted, note
from gateway.core.labels.findings import (
    EMPLOYEE,
    INLINE,
    PART_2,
    UNDETERMINED,
    VIOLENCE,
    VIP,
    Contribution,
    Edge,
    Found,
    Policy,
)
from gateway.core.labels.places import Places, TypePlaces
from gateway.core.labels.stated import labels_coded, labels_given
from gateway.core.labels.steps import AGAIN, Names, found_at, names_of, upto
from gateway.core.values import Ref


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds what records say of themselves. `ref_of` reads the text of a Reference to this server; `content`
    says where records of a type have their dates."""

    codes: CodeTable
    places: Places
    policy: Policy
    ref_of: Callable[[str], Ref | None]
    content: Callable[[str], ContentRow]

    def find(self, kind: str, tree: dict[str, Tree], owners: frozenset[str]) -> Found:
        """What the resource `tree` of type `kind` says, with what it contains; `owners` are the ids of the
        patients that it belongs to."""
        contributions = list(self._own(kind, tree, ()))
        edges = list(self._edges(kind, tree, ()))
        if "contained" in tree:
            self._contained(kind, tree, contributions, edges)
        made = self.programme(kind, tree)
        contributions += made.contributions
        edges += made.edges
        if not owners.isdisjoint(self.policy.employees):
            contributions.append(Contribution(EMPLOYEE, (), False, "an employee"))
        if not owners.isdisjoint(self.policy.vips):
            contributions.append(Contribution(VIP, (), False, "a well-known person"))
        if not owners.isdisjoint(self.policy.victims):
            contributions += [
                Contribution(VIOLENCE, place, True, "where a victim is")
                for names in self.places.of(kind).whereabouts
                for place, _ in found_at(tree, names)
            ]
        found = Found(tuple(dict.fromkeys(contributions)), tuple(dict.fromkeys(edges)))
        return found if self.policy.adolescent is None else self._by_age(found, kind, tree, owners)

    def _by_age(self, found: Found, kind: str, tree: dict[str, Tree], owners: frozenset[str]) -> Found:
        """What was found, with what the age of the patients may add to it."""
        assert self.policy.adolescent is not None
        if kind == "Patient":
            found = found._replace(born=born_of(tree))
        if owners and (found.contributions or found.edges):
            found = found._replace(aged=aged(self.policy.adolescent, tree, self.content(kind), owners))
        return found

    # --- One resource ------------------------------------------------------------------------------

    def _own(self, kind: str, tree: dict[str, Tree], start: Place) -> Iterator[Contribution]:
        """What the resource says by its own elements, and by its labels; `start` is where it stands."""
        places, noted = self.places.of(kind), note(tree, drugs=kind.startswith("Medication"))
        yield from labels_given(tree, start)
        for link, system, code in noted.codings:
            for row in self.codes.found(system, code):
                yield self._by_row(row, kind, place_of(link), start)
            yield from labels_coded(places, system, code, place_of(link), start)
        for link, text in noted.products:
            for row in self.codes.drugs_in(text):
                yield self._by_row(row, kind, place_of(link), start)
        for link in noted.odd:
            yield _undetermined(places, place_of(link), start, "a code that is not understood")
        yield from _inline(places, noted, start)
        yield from _uncoded(places, noted, start)
        for link in noted.worded:
            place = place_of(link)
            if not any(map(self.places.is_named, _addresses(tree, place))):
                yield _wordy(places, place, start, "words in an extension")
        for path in places.free_text:
            if path[0].removesuffix(AGAIN) in tree:
                yield from _free_text(places, tree, path, start)

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
            if names[0].removesuffix(AGAIN) in tree:
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
        named = _reference_in(value)
        text = named.get("reference") if type(named) is dict else None
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

    # --- 42 CFR Part 2 -----------------------------------------------------------------------------

    def programme(self, kind: str, tree: dict[str, Tree]) -> Found:
        """Whether the resource, or one that it contains, was made by a programme under 42 CFR Part 2, and who
        may say so."""
        if not self.policy.has_programmes:
            return Found()
        made = [(kind, tree), *(_resources(kind, tree).values() if "contained" in tree else ())]
        edges = [edge for inside, resource in made for edge in self._makers(inside, resource)]
        if any(self._is_part2(inside, resource) for inside, resource in made):
            return Found((Contribution(PART_2, (), False, "a part 2 program"),))
        return Found((), tuple(dict.fromkeys(edges)))

    def _is_part2(self, kind: str, tree: dict[str, Tree]) -> bool:
        meta, programs = tree.get("meta"), self.policy.part2_organizations
        source = meta.get("source") if type(meta) is dict else None
        if type(source) is str and source.partition("#")[0] in self.policy.part2_sources:
            return True
        return bool(programs) and any(str(ref) in programs for ref in self._made_by(kind, tree))

    def _makers(self, kind: str, tree: dict[str, Tree]) -> Iterator[Edge]:
        """Those whose own records say for whom they made this one."""
        if self.policy.part2_organizations:
            for ref in self._made_by(kind, tree):
                if ref is not None and ref.type == "PractitionerRole":
                    yield Edge(ref, (), False, "who made it", programme=True)

    def _made_by(self, kind: str, tree: dict[str, Tree]) -> Iterator[Ref | None]:
        for names in self.places.of(kind).organizations:
            if names[0] in tree:
                yield from (self._target(value) for _, value in found_at(tree, names))


_REFERENCE: Final = frozenset(
    {"reference", "_reference", "type", "_type", "identifier", "display", "_display", "id", "extension"}
)


def _is_reference(value: Tree, place: Place) -> bool:
    """Whether what stands where References are can bring labels: not what is contained, which is looked at
    itself, and not another element. What is no element at all may be any reference."""
    if type(value) is not dict:
        # The text of a Reference, where another release has a CodeableReference.
        return not (type(value) is str and place[-1] == "reference")
    named = _reference_in(value)
    text = named.get("reference")
    if type(text) is str:
        return text[:1] != "#"
    return not SIGNS.isdisjoint(named) or _REFERENCE.issuperset(named)


def _reference_in(value: Tree) -> Any:
    """The Reference that an element holds as its `reference`, as one with a concept beside it; or itself."""
    while type(value) is dict and type(value.get("reference")) is dict:
        value = value["reference"]
    return value


def _undetermined(places: TypePlaces, place: Place, start: Place, basis: str) -> Contribution:
    cut = places.separable_at(place)
    return Contribution(UNDETERMINED, (*start, *(place if cut is None else cut[1])), cut is not None, basis)


def _inline(places: TypePlaces, noted: Noted, start: Place) -> Iterator[Contribution]:
    """Labels that stand on an element (DS4P, inline security labels). The element can go, unless it is the
    resource itself, says which that is, or what the record is about."""
    for link, label in noted.inline:
        place = _value_at(place_of(link))
        names = names_of(place)
        whole = not names or names in _IDENTITY or any(names[: len(path)] == path for path in places.subject)
        yield Contribution(label, (*start, *place), not whole, INLINE)


_IDENTITY: Final = (("resourceType",), ("id",))


def _value_at(place: Place) -> Place:
    """Where the value is to which the element at `place` belongs: JSON keeps the extensions of a primitive
    beside it, those of one in a list at the same index (json.html)."""
    for at in range(len(place) - 1, -1, -1):
        step = place[at]
        if isinstance(step, str):
            return (*place[:at], step.removeprefix("_"), *place[at + 1 :])
    return place


def _uncoded(places: TypePlaces, noted: Noted, start: Place) -> Iterator[Contribution]:
    """Concepts of text alone, wherever they stand. What kind of identifier one is, is none of them."""
    for link in noted.uncoded:
        place = place_of(link)
        names = names_of(place)
        if (
            names[0] in LABEL_ELEMENTS
            or names[-2:] in _OF_NAMES
            or places.words.begins(names)
            or (*names, "text") in places.words
        ):
            continue  # counted with it
        yield _wordy(places, place, start, "text without a code")


_OF_NAMES: Final = frozenset({("identifier", "type"), ("valueIdentifier", "type")})


def _wordy(places: TypePlaces, place: Place, start: Place, basis: str) -> Contribution:
    cut = places.without_words(place)
    return Contribution(UNDETERMINED, (*start, *(place if cut is None else cut)), cut is not None, basis)


def _free_text(
    places: TypePlaces, tree: dict[str, Tree], path: Names, start: Place
) -> Iterator[Contribution]:
    if len(path) == 1 and not path[0].endswith(AGAIN):
        yield Contribution(UNDETERMINED, (*start, *path), True, "free text")
        return
    for place, _ in found_at(tree, path):
        yield _wordy(places, place, start, "free text")


def _addresses(tree: Tree, place: Place) -> Iterator[str]:
    """The addresses of the extension at `place`, and of those around it."""
    node: Any = tree
    for step in place:
        node = node[step]
        address = node.get("url") if type(node) is dict else None
        if type(address) is str:
            yield address


def _is_routine(routine: frozenset[str], tree: dict[str, Tree]) -> bool:
    """Whether all the record's categories are such that its context says nothing of it."""
    codings = [each for _, each in found_at(tree, ("category", "coding"))]
    said = [each.get("code") if type(each) is dict else None for each in codings]
    codes = {code if type(code) is str else None for code in said}
    return not routine or (bool(codes) and codes <= routine)


def _resources(kind: str, tree: dict[str, Tree]) -> dict[int | None, tuple[str, dict[str, Tree]]]:
    """The resource of type `kind` and those that it contains, with their types, by index; None for itself."""
    inner = tree["contained"]
    found: dict[int | None, tuple[str, dict[str, Tree]]] = {None: (kind, tree)}
    for index, resource in enumerate(inner if type(inner) is list else ()):
        if type(resource) is dict:
            found[index] = (str(resource.get("resourceType")), resource)
    return found
