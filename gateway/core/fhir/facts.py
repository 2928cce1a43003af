"""What a decision needs to know of one resource, found in one reading of it.

`Facts` depend on the bytes, the catalogue and the base addresses alone, never on who asks: so they may be
kept by digest and used again. They hold ids, labels and places, none of the content. What they do not
mention is safe to release with the resource; what they could not understand they mention.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.fhir import codec
from gateway.core.fhir.addresses import Bases, Place, addresses, may_hold_addresses
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.compartment import owners
from gateway.core.fhir.mentions import PEOPLE, Holder, Mention, mentions
from gateway.core.values import Label, Ref, is_id


@dataclass(frozen=True, slots=True)
class Facts:
    """`owners` are patient ids; `labels` those of the resource and of what it contains.

    `strangers` are the indexes of contained resources that belong to nobody the container belongs to;
    `addresses` the strings that name the upstream, with what they become (None: left out); `narratives`
    where text stands that repeats the record, looked for only where something may have to be taken out.
    """

    type: str
    id: str
    version: str | None
    updated: str | None
    owners: frozenset[str]
    labels: frozenset[Label]
    mentions: tuple[Mention, ...]
    strangers: tuple[int, ...]
    narratives: tuple[Place, ...]
    addresses: tuple[tuple[Place, str | None], ...]
    digest: bytes
    ref: Ref


def facts_of(raw: bytes, catalogue: Catalogue, bases: Bases) -> Facts:
    """The facts of the resource in `raw`.

    Raises:
        CodecError: not strict JSON, or not a resource with a type of the release and an id.
    """
    tree = codec.parse(raw)
    if type(tree) is not dict:
        raise CodecError("the document is not a resource")
    kind, ident, meta = tree.get("resourceType"), tree.get("id"), tree.get("meta", {})
    if type(kind) is not str or kind not in catalogue.types:
        raise CodecError("the resource is of no known type")
    if type(ident) is not str or not is_id(ident) or type(meta) is not dict:
        raise CodecError("the resource has no usable id or meta")
    owned_by = owners(tree, catalogue, bases.both)
    inner = _contained(tree, catalogue, bases, owned_by)
    own = frozenset(f"Patient/{patient}" for patient in owned_by)
    found = tuple(mentions(tree, Holder(kind, own, inner.stranger_ids, catalogue, bases)))
    return Facts(
        type=kind,
        id=ident,
        version=_text(meta.get("versionId")),
        updated=_text(meta.get("lastUpdated")),
        owners=owned_by,
        labels=_labels(tree) | inner.labels,
        mentions=found,
        strangers=inner.strangers,
        narratives=tuple(_narratives(tree)) if found or inner.strangers else (),
        addresses=tuple(addresses(tree, bases)) if may_hold_addresses(raw, bases) else (),
        digest=hashlib.sha256(raw).digest(),
        ref=Ref(kind, ident),
    )


class Inspector:
    """`facts_of` for one upstream, remembering by digest what it found: a page that is read again, or an
    observation that is on many pages, is not parsed again. Holds no content. The oldest half goes when full.
    """

    def __init__(self, catalogue: Catalogue, bases: Bases, capacity: int = 20_000) -> None:
        self._catalogue, self._bases, self._capacity = catalogue, bases, capacity
        self._known: dict[bytes, Facts] = {}

    def __call__(self, raw: bytes) -> Facts:
        digest = hashlib.sha256(raw).digest()
        facts = self._known.get(digest)
        if facts is None:
            facts = facts_of(raw, self._catalogue, self._bases)
            if len(self._known) >= self._capacity:
                for old in list(self._known)[: self._capacity // 2]:
                    del self._known[old]
            self._known[digest] = facts
        return facts


def _text(value: Tree) -> str | None:
    return value if type(value) is str else None


def _narratives(tree: dict[str, Tree]) -> Iterator[Place]:
    """The record's own narrative, and those inside it: of a Composition's sections, of what is contained."""
    yield ("text",)
    todo: list[tuple[Place, Tree]] = [((), tree)]
    while todo:
        place, node = todo.pop()
        for key, value in node.items() if type(node) is dict else enumerate(node):
            if type(value) is dict and key == "text" and "div" in value:
                yield (*place, key)
            elif type(value) is dict or type(value) is list:
                todo.append(((*place, key), value))


# --- Labels and contained resources ----------------------------------------------------------------


def _labels(tree: dict[str, Tree]) -> frozenset[Label]:
    """`meta.security`. A coding that is not understood counts as a label of an unknown system."""
    meta = tree.get("meta")
    security = meta.get("security", []) if type(meta) is dict else []
    if type(security) is not list:
        return frozenset({Label("", "")})
    return frozenset(_label(coding) for coding in security)


def _label(coding: Tree) -> Label:
    if type(coding) is not dict:
        return Label("", "")
    return Label(_text(coding.get("system")) or "", _text(coding.get("code")) or "")


@dataclass(frozen=True, slots=True)
class _Contained:
    strangers: tuple[int, ...]
    stranger_ids: frozenset[str]
    labels: frozenset[Label]


def _contained(
    tree: dict[str, Tree], catalogue: Catalogue, bases: Bases, owned_by: frozenset[str]
) -> _Contained:
    """Contained resources share their container's fate, so its labels are theirs too. One that is a
    person, or a record of nobody the container belongs to, is a stranger in it."""
    inner = tree.get("contained", [])
    if type(inner) is not list:
        raise CodecError("contained is not a list")
    strangers, ids, labels = [], set(), frozenset[Label]()
    for index, resource in enumerate(inner):
        if type(resource) is not dict:
            raise CodecError("a contained resource is not an object")
        if _belongs(resource, catalogue, bases, owned_by):
            labels |= _labels(resource)
        else:
            strangers.append(index)
            ids.add("#" + (_text(resource.get("id")) or ""))
    return _Contained(tuple(strangers), frozenset(ids), labels)


def _belongs(resource: dict[str, Tree], catalogue: Catalogue, bases: Bases, owned_by: frozenset[str]) -> bool:
    kind = resource.get("resourceType")
    if type(kind) is not str or kind in PEOPLE:
        return False
    access = catalogue.access(kind)
    if access.kind == "shared":
        return True
    whose = owners(resource, catalogue, bases.both) if access.kind == "compartment" else frozenset()
    return bool(whose) and whose <= owned_by
