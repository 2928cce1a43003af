"""The resources contained in a resource, and what of them is the container's own business.

A contained resource has no life of its own: it travels with its container, under its labels, or not at all.
A person, or a record of somebody the container does not belong to, is a stranger in it and never travels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.compartment import owners
from gateway.core.fhir.meta import labels_on, meta_of
from gateway.core.fhir.references import PEOPLE
from gateway.core.fhir.scan import Link
from gateway.core.values import Label


@dataclass(frozen=True, slots=True)
class Inner:
    """A contained record that is nobody's or of whom the container belongs to: a consent may deny its type
    or labels, though it permits the container. `local_id` is how the container refers to it (`#id`), None
    without an id."""

    index: int
    local_id: str | None
    type: str
    labels: frozenset[Label]


@dataclass(frozen=True, slots=True)
class Contained:
    """`kept` are place, type and tree of those that are no strangers; `locals` what a local reference may
    point at: a contained record, or None for the container itself (`#`)."""

    kept: tuple[tuple[Link, str, dict[str, Tree]], ...] = ()
    inner: tuple[Inner, ...] = ()
    strangers: tuple[int, ...] = ()
    locals: Mapping[str, Inner | None] = field(default_factory=lambda: {"#": None})
    labels: frozenset[Label] = frozenset()


NOTHING = Contained()


def contained_in(
    tree: dict[str, Tree], catalogue: Catalogue, bases: Bases, owned_by: frozenset[str]
) -> Contained:
    """What the resource `tree`, which belongs to the patients `owned_by`, contains.

    Raises:
        CodecError: `contained` is no list of resources, or one of them contains others (references.html,
            contained resources), or has a `meta` that is not understood.
    """
    if "contained" not in tree:
        return NOTHING
    kept, inner, strangers, labels = [], [], [], frozenset[Label]()
    places: dict[str, Inner | None] = {"#": None}
    lost: set[str] = set()
    for index, resource in enumerate(_resources(tree["contained"])):
        local_id, kind = _local_id(resource), resource.get("resourceType")
        if local_id in places:
            lost.add(local_id)  # two of one id: nobody can tell which is meant
        record: Inner | None = None
        if type(kind) is not str or not _belongs(resource, kind, catalogue, bases, owned_by):
            strangers.append(index)
            lost.add(local_id or "")
        else:
            kept.append((((None, "contained"), index), kind, resource))
            meta_of(resource)
            own_labels = labels_on(resource)
            labels |= own_labels
            record = Inner(index, local_id, kind, own_labels)
            inner.append(record)
        if local_id is not None:
            places[local_id] = record
    known = {local_id: record for local_id, record in places.items() if local_id not in lost}
    return Contained(tuple(kept), tuple(inner), tuple(strangers), known, labels)


def _resources(value: Tree) -> Iterator[dict[str, Tree]]:
    if type(value) is not list:
        raise CodecError("contained is not a list")
    for resource in value:
        if type(resource) is not dict:
            raise CodecError("a contained resource is not an object")
        if "contained" in resource:
            raise CodecError("a contained resource contains others")
        yield resource


def _local_id(resource: dict[str, Tree]) -> str | None:
    """`#id`; some servers store the sign with the id."""
    ident = resource.get("id")
    return "#" + ident.removeprefix("#") if type(ident) is str else None


def _belongs(
    resource: dict[str, Tree], kind: str, catalogue: Catalogue, bases: Bases, owned_by: frozenset[str]
) -> bool:
    if kind in PEOPLE:
        return False
    access = catalogue.access(kind)
    if access.kind == "shared":
        return True
    whose = owners(resource, catalogue, bases.both) if access.serves(resource) else frozenset()
    return bool(whose) and whose <= owned_by
