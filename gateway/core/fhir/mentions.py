"""References that may tell of a record the reader cannot see: in `display`, by identifier, or by being there.

A mention is found by the shape of its object, wherever it stands. One that may stay as it is makes no
mention: of the record's own patient, of a shared type, or a bare reference to a clinical record. Whether
the target of the others is visible is decided per reader, see `redact`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.core.fhir.addresses import Bases, Place
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.compartment import reference_of
from gateway.core.values import Ref

PEOPLE: Final = frozenset({"Patient", "RelatedPerson", "Person"})
# Members of a Reference without a `reference`; a leading `_` is where JSON keeps an element's extensions.
LOGICAL_REFERENCE: Final = frozenset(
    {"id", "extension", "_reference", "type", "_type", "identifier", "display", "_display"}
)
SPEAKING: Final = ("identifier", "display", "_display")
"""The members of a Reference that tell more of its target than where it is."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A Reference that may tell of a record the reader cannot see.

    `target` is the record on this server, if it is one that could be looked up and shown; `whole` says
    that the reference itself identifies somebody, so that without the target nothing of it may stay.
    """

    place: Place
    target: Ref | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """The record that mentions: its type, whose it is (`Patient/id`), and the local references (`#id`) to
    contained resources that are strangers in it."""

    kind: str
    own: frozenset[str]
    strangers: frozenset[str]
    catalogue: Catalogue
    bases: Bases


def mentions(tree: dict[str, Tree], holder: Holder) -> Iterator[Mention]:
    """Every mention in the record, in no particular order."""
    for place, node in _objects(tree):
        reference = node.get("reference")
        if type(reference) is str:
            mention = None if reference in holder.own else _literal(place, node, reference, holder)
        elif "reference" in node and type(reference) is not dict and type(reference) is not list:
            mention = Mention(place, None, True)  # no Reference that anybody could follow
        else:
            mention = _logical(place, node, holder)
        if mention is not None:
            yield mention


def _literal(place: Place, node: dict[str, Tree], reference: str, holder: Holder) -> Mention | None:
    """The mention made by a Reference with a `reference`, or None when it may stay as it is."""
    if reference.startswith("#"):
        return Mention(place, None, True) if reference in holder.strangers else None
    target = reference_of(node, holder.bases.both)
    if target is not None and str(target) in holder.own:
        return None
    named = target.type if target is not None else _named_type(reference)
    kind = holder.catalogue.access(named).kind if named is not None else None
    if kind == "shared":
        return None
    if named in PEOPLE:
        return Mention(place, target if named == "RelatedPerson" else None, True)
    if not any(member in node for member in SPEAKING):
        return None
    return Mention(place, target if kind == "compartment" else None, False)


_TYPE_IN_URL = re.compile(
    r"(?:^|/)([A-Z][A-Za-z]{2,63})(?:/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/?#]*)?|\?.*)\Z"
)


def _named_type(reference: str) -> str | None:
    """The type that an address of another server, or a conditional reference, speaks of."""
    found = _TYPE_IN_URL.search(reference)
    return found.group(1) if found else None


def _logical(place: Place, node: dict[str, Tree], holder: Holder) -> Mention | None:
    """The mention made by a Reference without a `reference`: by identifier, or by display at a place
    where only people or their records can stand."""
    if not node.keys() <= LOGICAL_REFERENCE or type(node.get("identifier", {})) is not dict:
        return None  # a Coding, a BackboneElement
    said = node.get("type")
    if type(said) is str:
        return None if holder.catalogue.access(said).kind == "shared" else Mention(place, None, True)
    element = ".".join(step for step in place if type(step) is str)
    private = element in private_references(holder.catalogue, holder.kind)
    return Mention(place, None, True) if private else None


def private_references(catalogue: Catalogue, kind: str) -> frozenset[str]:
    """The elements of a type where only people and their records can be referred to."""
    known = _private_references.get((catalogue.release, kind))
    if known is None:
        known = frozenset(
            ".".join(step.name for step in path.steps)
            for param in catalogue.params(kind).values()
            if param.targets and not any(catalogue.access(t).kind == "shared" for t in param.targets)
            for path in param.paths
        )
        _private_references[catalogue.release, kind] = known
    return known


_private_references: dict[tuple[str, str], frozenset[str]] = {}


def _objects(tree: dict[str, Tree]) -> Iterator[tuple[Place, dict[str, Tree]]]:
    """Every object in the tree that has a key of a Reference, with its place."""
    todo: list[tuple[Place, Tree]] = [((), tree)]
    while todo:
        place, node = todo.pop()
        if type(node) is dict:
            if "reference" in node or "identifier" in node or "display" in node or "_display" in node:
                yield place, node
            for key, value in node.items():
                if type(value) is dict or type(value) is list:
                    todo.append(((*place, key), value))
        else:
            for index, value in enumerate(node):
                if type(value) is dict or type(value) is list:
                    todo.append(((*place, index), value))
