"""The short way through a plain resource: one of `resources`, its owners and References at known places.

What stays true: it says nothing that the long way (`codec.parse`, `scan`) would not say too, and leaves to it
what it is not sure of. It is sure only of bytes that writing the resource again gives back: so no key was
there twice, nothing was passed over, and no escape hides a name.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias, Union, get_args, get_type_hints

import msgspec

from gateway.core.fhir.addresses import Bases, may_name_upstream
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.references import PEOPLE, RELATIVE
from gateway.core.fhir.resources import RESOURCES, Resource
from gateway.core.fhir.scan import Link
from gateway.core.fhir.shapes import Reference, Shape
from gateway.core.values import is_id

MAX_BYTES: Final = 64 * 1024  # nothing plain is larger
LONGEST: Final = 64 + len("/") + 64  # a relative reference: what is longer is not remembered either

Spoken: TypeAlias = list[tuple[Link, dict[str, Tree]]]


class Plain(NamedTuple):
    """A resource that has an id and belongs to the patients `owners`. `spoken` are those of its References
    that may be mentions, as `scan` notes them."""

    type: str
    resource: Resource
    owners: frozenset[str]
    spoken: Spoken


def read_plain(raw: bytes, catalogue: Catalogue, bases: Bases) -> Plain | None:
    """The resource in `raw` if it is plain; None if it may not be, or may not even be a resource."""
    resource = _decoded(raw)
    if resource is None or may_name_upstream(raw, bases) or not is_id(resource.id):
        return None
    kind = type(resource).__name__
    owners = _owners(resource, kind, catalogue)
    if owners is None or kind not in catalogue.types:
        return None
    spoken: Spoken = []
    _note(resource, None, owners, catalogue, spoken)
    return Plain(kind, resource, owners, spoken)


def _decoded(raw: bytes) -> Resource | None:
    """The resource if it has a shape and nothing beside it, read as strictly as by `codec.parse`."""
    if len(raw) > MAX_BYTES:
        return None
    try:
        resource = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if _encode(resource) != raw:
        return None
    # A NUL is the one thing that is written as it was read and that `parse` refuses. Four zeros are found, or
    # not, several times faster than its escape.
    return None if b"0000" in raw and b"\\u0000" in raw else resource


_decode: Final = msgspec.json.Decoder(Union[RESOURCES]).decode  # noqa: UP007
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


# --- References ------------------------------------------------------------------------------------


def _relative(text: str) -> tuple[str, str] | None:
    """Type and id of `Type/id`."""
    return _parts(text) if len(text) <= LONGEST else None


# The records of a page refer to the same few others.
@functools.lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[str, str] | None:
    named = RELATIVE.fullmatch(text)
    return None if named is None else (named[1], named[2])


def _owners(resource: Resource, kind: str, catalogue: Catalogue) -> frozenset[str] | None:
    """As `compartment.owners`; None if that takes more than relative references of the resource itself."""
    if kind == "Patient":
        return frozenset((resource.id,))
    found = []
    for path in catalogue.access(kind).owner:
        if len(path.steps) > 1 or path.steps[0].where is not None:
            return None
        value = getattr(resource, path.steps[0].name, None)
        if type(value) is Reference:
            named = _relative(value.reference)
            if named is None:
                return None
            if named[0] == "Patient":
                found.append(named[1])
        elif value:
            return None
    return frozenset(found)


def _note(node: Shape, link: Link, owners: frozenset[str], catalogue: Catalogue, spoken: Spoken) -> None:
    """Adds the References below `node` that may not surely stay as they are."""
    for name in _LEADING[type(node)]:
        value = getattr(node, name)
        if not value:
            continue
        if type(value) is not list:
            _look_at(value, (link, name), owners, catalogue, spoken)
            continue
        for index, one in enumerate(value):
            _look_at(one, ((link, name), index), owners, catalogue, spoken)


def _look_at(node: Shape, link: Link, owners: frozenset[str], catalogue: Catalogue, spoken: Spoken) -> None:
    if type(node) is not Reference:
        _note(node, link, owners, catalogue, spoken)
    elif not _may_stay(node, owners, catalogue):
        spoken.append((link, msgspec.to_builtins(node)))


def _may_stay(reference: Reference, owners: frozenset[str], catalogue: Catalogue) -> bool:
    """Whether it is surely no mention, see `mentions`: that has the last word on all others."""
    named = _relative(reference.reference)
    if named is None:
        return False
    kind, ident = named
    if kind in PEOPLE:
        return kind == "Patient" and ident in owners
    if reference.display is None:
        return kind in catalogue.types
    return catalogue.access(kind).kind == "shared"


def _leading(shape: type[Shape]) -> tuple[str, ...]:
    """The members of a shape that are References or lead to some."""
    hints = get_type_hints(shape)
    return tuple(name for name in shape.__struct_fields__ if any(map(_leads, _shapes_in(hints[name]))))


def _leads(shape: type[Shape]) -> bool:
    return shape is Reference or bool(_leading(shape))


def _shapes_in(hint: Any) -> Iterator[type[Shape]]:
    """The shapes that a member of type `hint` may have: itself, or those of `list[...]` and `... | None`."""
    if isinstance(hint, type) and issubclass(hint, Shape):
        yield hint
    for part in get_args(hint):
        yield from _shapes_in(part)


def _below(shape: type[Shape]) -> Iterator[type[Shape]]:
    """The shape and all that stand in it."""
    yield shape
    for hint in get_type_hints(shape).values():
        for inner in _shapes_in(hint):
            yield from _below(inner)


_LEADING: Final = {shape: _leading(shape) for kind in RESOURCES for shape in _below(kind)}
"""Where to look for References, by shape."""
