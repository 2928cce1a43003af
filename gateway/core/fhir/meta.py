"""The `meta` of a resource: version, time and labels (resource.html, Meta).

Lists that tags are added to or that clients read are checked; a label that is not understood is kept, as one
that no rule knows, because that withholds this resource and not the whole answer.
"""

from __future__ import annotations

from typing import Final

from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.values import Label

_LISTS: Final[tuple[tuple[str, tuple[type, ...]], ...]] = (
    ("tag", (dict,)),
    ("profile", (str, type(None))),  # null where only `_profile` says something (json.html)
)


def meta_of(tree: dict[str, Tree]) -> dict[str, Tree]:
    """The `meta` of a resource, empty without one.

    Raises:
        CodecError: it is no object, or its tag or profile no list of what belongs there.
    """
    meta = tree.get("meta", {})
    if type(meta) is not dict:
        raise CodecError("the resource has no usable meta")
    for name, kinds in _LISTS:
        if name in meta:
            listed = meta[name]
            if type(listed) is not list or not all(type(value) in kinds for value in listed):
                raise CodecError("a list of the resource's meta is not understood")
    return meta


UNREADABLE: Final = Label("", "")
UNLABELLED: Final[frozenset[Label]] = frozenset()


def labels_of(meta: dict[str, Tree]) -> frozenset[Label]:
    """`meta.security`. A coding that is not understood counts as a label of an unknown system."""
    if "security" not in meta:
        return UNLABELLED
    security = meta["security"]
    return frozenset(map(_label, security)) if type(security) is list else frozenset({UNREADABLE})


def _label(coding: Tree) -> Label:
    if type(coding) is not dict:
        return UNREADABLE
    return Label(text(coding.get("system")) or "", text(coding.get("code")) or "")


def text(value: Tree) -> str | None:
    return value if type(value) is str else None
