"""References that may tell of a record the reader cannot see: in `display`, by identifier, or by being there.

A mention is found by the shape of its object, wherever it stands. One that may stay as it is makes no
mention: of the record's own patient, of a shared type, or a bare reference to a clinical record. What has
signs of a Reference and is not understood is a mention that may never stay. Whether the target of the
others is visible is decided per reader, see `redact`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.compartment import parse_reference
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.references import (
    LITERATURE,
    LOGICAL_REFERENCE,
    PEOPLE,
    UNTYPED,
    holds_references,
    is_coding,
    is_literature,
    is_other_element,
    named_type,
)
from gateway.core.fhir.scan import SIGNS, Link, Place, element_of, place_of
from gateway.core.values import Ref

SILENT: Final = frozenset({"reference", "type"})
"""The members of a Reference that tell no more of its target than where it is."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A Reference that may tell of a record the reader cannot see.

    `target` is the record on this server, if it is one that could be looked up and shown, or the contained
    record; `whole` says that the reference itself identifies somebody, so that without the target nothing of
    it may stay. Otherwise `words` are the members that go.
    """

    place: Place
    target: Ref | Inner | None
    whole: bool
    words: tuple[str, ...] = ()


class Holder(NamedTuple):
    """The resource that mentions: its type, where it stands (`start`: None, or where it is contained), whose
    it is (`Patient/id`), and what its local references (`#id`) may point at."""

    kind: str
    start: Link
    own: frozenset[str]
    locals: Mapping[str, Inner | None]
    catalogue: Catalogue
    bases: Bases


def mentions(objects: Iterable[tuple[Link, dict[str, Tree]]], holder: Holder) -> Iterator[Mention]:
    """The mentions among objects with signs of a Reference, in no particular order."""
    literature = LITERATURE.get(holder.kind)
    for link, node in objects:
        reference = node.get("reference")
        if link is holder.start or (literature and element_of(link, holder.start) in literature):
            mention = _literature(link, node, holder) if "reference" in node else None
        elif type(reference) is str:
            mention = None if reference in holder.own else _literal(link, node, reference, holder)
        elif "reference" in node:
            mention = _unlike(link, node, holder)
        else:
            mention = None if is_coding(node) else _logical(link, node, holder)
        if mention is not None:
            yield mention


def _literature(link: Link, node: dict[str, Tree], holder: Holder) -> Mention | None:
    """The mention made by a resource or element whose `reference` is no Reference, but says what to read."""
    stays = is_literature(holder.kind, element_of(link, holder.start), node["reference"], holder.catalogue)
    return None if stays else Mention(place_of(link), None, False, ("reference", "_reference"))


def _literal(link: Link, node: dict[str, Tree], reference: str, holder: Holder) -> Mention | None:
    """The mention made by a Reference with a `reference`, or None when it may stay as it is."""
    if reference.startswith("#"):
        return _local(link, reference, holder)
    named = named_type(reference, holder.catalogue, holder.bases.both)
    if named is None or _contradicts(node, named):
        return Mention(place_of(link), None, True)
    kind = holder.catalogue.access(named).kind
    if kind == "shared":
        return None
    if named in PEOPLE:
        target = parse_reference(reference, holder.bases.both)
        if target is not None and str(target) in holder.own:
            return None
        return Mention(place_of(link), target if named == "RelatedPerson" else None, True)
    words = tuple(name for name in node if name not in SILENT) if len(node) > 1 else ()
    if not words:
        return None
    target = parse_reference(reference, holder.bases.both) if kind == "compartment" else None
    return Mention(place_of(link), target, False, words)


def _contradicts(node: dict[str, Tree], named: str) -> bool:
    """Whether `type` says another type than the reference names, or a person's where it names none."""
    if "type" not in node:
        return False
    said = node["type"]
    return said in PEOPLE if named == UNTYPED and type(said) is str else said != named


def _local(link: Link, reference: str, holder: Holder) -> Mention | None:
    """A stranger's, and one that points at nothing, may not stay; a record's, as long as the record does."""
    if reference not in holder.locals:
        return Mention(place_of(link), None, True)
    inner = holder.locals[reference]
    return Mention(place_of(link), inner, True) if inner is not None else None


def _unlike(link: Link, node: dict[str, Tree], holder: Holder) -> Mention | None:
    """The mention made by an object whose `reference` is no text: none if that is the name of an element."""
    element = element_of(link, holder.start)
    other = holds_references(node, SIGNS) or (
        type(node["reference"]) is dict and is_other_element(holder.kind, element, node, SIGNS)
    )
    if other and element not in holder.catalogue.private_references(holder.kind):
        return None
    return Mention(place_of(link), None, True)


def _logical(link: Link, node: dict[str, Tree], holder: Holder) -> Mention | None:
    """The mention made by a Reference without a `reference`: by identifier, or by display at a place
    where only people or their records can stand."""
    element = element_of(link, holder.start)
    if is_other_element(holder.kind, element, node, SIGNS):
        return None
    if not _is_understood(node):
        return Mention(place_of(link), None, True)
    said = node.get("type")
    if said is not None:
        shared = holder.catalogue.access(said).kind == "shared"
    else:
        shared = element not in holder.catalogue.private_references(holder.kind)
    return None if shared else Mention(place_of(link), None, True)


def _is_understood(node: dict[str, Tree]) -> bool:
    return (
        node.keys() <= LOGICAL_REFERENCE
        and type(node.get("identifier", {})) is dict
        and type(node.get("display", "")) is str
        and type(node.get("type", "")) is str
    )
