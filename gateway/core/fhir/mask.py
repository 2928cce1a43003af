"""What a consent or a role withholds of a resource that may be seen: taken out, place by place.

What stays true: content of the record is left out and never added. What was derived from it goes too:
narrative, which repeats it; pointers to it; contained resources that nothing refers to any more. An element
that its type requires is left as one whose value is absent. Which places, is for the judge to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from gateway.core.fhir.codec import DROP, Drop, Tree, apply_edit, elements, member
from gateway.core.fhir.edits import Edits, put
from gateway.core.fhir.scan import Link, Place, place_of, scan
from gateway.core.fhir.security import is_inline_label

ABSENT_REASON: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MASKED: Final = b'{"extension":[{"url":"' + ABSENT_REASON.encode() + b'","valueCode":"masked"}]}'
"""What stands for a value that is withheld, and says so (R4 data-absent-reason)."""
UNKNOWN: Final = b'{"extension":[{"url":"' + ABSENT_REASON.encode() + b'","valueCode":"unknown"}]}'
"""What stands for one where that is not told; a server that lacks the value says the same."""


def cut(
    edits: Edits,
    raw: bytes,
    tree: dict[str, Tree],
    places: Iterable[Place],
    required: Collection[str],
    absent: bytes,
) -> None:
    """Adds to `edits` what takes the values at `places` out of the resource `raw`, parsed as `tree`.

    A name in a place goes through lists; a value of an unexpected shape on the way is taken whole.
    `required` are the top-level elements that must not be missing: `absent` stands for their value.
    """
    taken = [found for place in places for found in _resolved(tree, place)]
    for place in (*taken, *_narratives(tree), *_pointers(tree, taken)):
        assert place not in _IDENTITY, "a resource without type or id is none"
        put(edits, place, DROP)
    _unrefer(edits, tree, absent)
    for index in _orphans(tree, edits):
        put(edits, ("contained", index), DROP)
    _fill_required(edits, raw, required, absent)


_IDENTITY: Final = (("resourceType",), ("id",))


def _resolved(node: Tree, place: Place, at: Place = ()) -> Iterator[Place]:
    """Where `place` is in the tree, with what JSON keeps beside a primitive, `_name` (json.html)."""
    if not place or node is None:
        yield at
        return
    step, rest = place[0], place[1:]
    match step, node:
        case str(), dict():
            if step in node:
                yield from _resolved(node[step], rest, (*at, step))
            if f"_{step}" in node:
                yield (*at, f"_{step}", *(rest if len(rest) == 1 and type(rest[0]) is int else ()))
        case str(), list():
            for index, inner in enumerate(node):
                yield from _resolved(inner, place, (*at, index))
        case int(), list():
            if step < len(node):
                yield from _resolved(node[step], rest, (*at, step))
        case _:
            yield at


def inline_labels(tree: dict[str, Tree]) -> Iterator[Place]:
    """Where labels of single elements stand (DS4P, inline security labels)."""
    return _inline(tree, ())


def _inline(node: Tree, at: Place) -> Iterator[Place]:
    if type(node) is dict:
        if is_inline_label(node.get("url")):
            yield at
            return
        for name, value in node.items():
            yield from _inline(value, (*at, name))
    elif type(node) is list:
        for index, value in enumerate(node):
            yield from _inline(value, (*at, index))


# --- What goes with it -----------------------------------------------------------------------------


def _parts(tree: dict[str, Tree]) -> Iterator[tuple[Link, dict[str, Tree]]]:
    """The resource and those contained in it, with where they stand."""
    yield None, tree
    for index, inner in _objects(tree, "contained"):
        yield ((None, "contained"), index), inner


def _narratives(tree: dict[str, Tree]) -> Iterator[Place]:
    for start, part in _parts(tree):
        if "text" in part:
            yield (*place_of(start), "text")
        yield from map(place_of, scan(part, start, texts=False).narratives)


POINTERS: Final = {
    "careTeam": "careTeamSequence",
    "diagnosis": "diagnosisSequence",
    "procedure": "procedureSequence",
    "supportingInfo": "informationSequence",
}
"""Lists of Claim and ExplanationOfBenefit whose `sequence` numbers the items name, and under what name."""


def _pointers(tree: dict[str, Tree], taken: Collection[Place]) -> Iterator[Place]:
    """The numbers by which items name something that is taken out."""
    for element, pointer in POINTERS.items() if "item" in tree else ():
        gone = [
            row.get("sequence")
            for index, row in _objects(tree, element)
            if (element,) in taken or (element, index) in taken
        ]
        for at, item in _objects(tree, "item") if gone else ():
            named = item.get(pointer)
            if type(named) is list:
                yield from (("item", at, pointer, n) for n, number in enumerate(named) if number in gone)


def _objects(tree: dict[str, Tree], name: str) -> Iterator[tuple[int, dict[str, Tree]]]:
    """The objects in the list `name` of the resource, with their indexes."""
    listed = tree.get(name)
    if type(listed) is list:
        yield from ((index, one) for index, one in enumerate(listed) if type(one) is dict)


# --- Contained resources ---------------------------------------------------------------------------


def _unrefer(edits: Edits, tree: dict[str, Tree], absent: bytes) -> None:
    """Blanks the References to contained resources that are taken out."""
    withheld = edits.get("contained", {})
    whole = isinstance(withheld, Drop)
    gone = {
        _local_id(inner)
        for index, inner in _objects(tree, "contained")
        if whole or isinstance(withheld.get(index), Drop)
    }
    for start, part in _parts(tree) if gone else ():
        for link, node in scan(part, start, texts=False).objects:
            if link is not start and type(node.get("reference")) is str and node["reference"] in gone:
                put(edits, place_of(link), absent)


def _orphans(tree: dict[str, Tree], edits: Edits) -> list[int]:
    """The contained resources that something referred to, and nothing that is left does."""
    inner: dict[str | None, list[int]] = {}
    for index, resource in _objects(tree, "contained"):
        inner.setdefault(_local_id(resource), []).append(index)
    if not inner:
        return []  # as in nearly all
    before = _reached(tree, inner, {}, ())
    alone = {index for indexes in inner.values() for index in indexes} - before
    return sorted(before - _reached(tree, inner, edits, alone)) if before else []


def _reached(
    tree: dict[str, Tree], inner: dict[str | None, list[int]], edits: Edits, alone: Iterable[int]
) -> set[int]:
    """The contained resources to which references lead, after `edits`, from the resource itself and those
    that stand `alone` in it; `inner` are their indexes by local id."""
    withheld = edits.get("contained")

    def references_in(index: int) -> Iterator[str]:
        edit = withheld.get(index) if isinstance(withheld, dict) else withheld
        return _local_references(tree["contained"][index], edit)

    outer = {name: value for name, value in tree.items() if name != "contained"}
    reached = set(alone)
    ends = [*_local_references(outer, edits), *(end for index in reached for end in references_in(index))]
    while ends:
        for index in inner.get(ends.pop(), ()):
            if index not in reached:
                reached.add(index)
                ends += references_in(index)
    return reached


def _local_references(node: Tree, edit: Any) -> Iterator[str]:
    """The texts `#id` below `node` that `edit` leaves: of a Reference, or a canonical (references.html)."""
    if isinstance(edit, Drop | bytes):
        return
    inside = edit if isinstance(edit, dict) else {}
    if type(node) is str:
        if node.startswith("#"):
            yield node
    elif type(node) is dict:
        for name, value in node.items():
            yield from _local_references(value, inside.get(name))
    elif type(node) is list:
        for index, value in enumerate(node):
            yield from _local_references(value, inside.get(index))


def _local_id(resource: dict[str, Tree]) -> str | None:
    """`#id`; some servers store the sign with the id."""
    ident = resource.get("id")
    return "#" + ident.removeprefix("#") if type(ident) is str else None


# --- Required elements -----------------------------------------------------------------------------


def _fill_required(edits: Edits, raw: bytes, required: Collection[str], absent: bytes) -> None:
    for name in {str(name).removeprefix("_") for name in edits}.intersection(required):
        there = [(one, value) for one in (name, f"_{name}") if (value := member(raw, one)) is not None]
        left = [
            value for one, value in there if one not in edits or apply_edit(value, edits[one]) is not None
        ]
        if there and not left:
            edits.update(_blank(name, there[0][1], beside=there[0][0] != name, absent=absent))


def _blank(name: str, value: bytes, *, beside: bool, absent: bytes) -> Edits:
    """What makes of a member one without a value: a primitive says so `beside` itself (json.html)."""
    many = value.lstrip()[:1] == b"["
    stands = b"[" + absent + b"]" if many else absent
    each = elements(value) if many else [value]
    if beside:
        return {f"_{name}": stands}
    if each and each[0].lstrip()[:1] == b"{":
        return {name: stands}
    return {name: b"[null]" if many else DROP, f"_{name}": stands}
