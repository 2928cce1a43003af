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


LABEL_ELEMENTS: Final = ("securityLabel", "confidentiality")
"""The elements beside `meta` that label a whole record: of DocumentReference, of Composition up to R4B."""
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def labels_on(resource: dict[str, Tree]) -> frozenset[Label]:
    """All labels that the resource says it has, in `meta.security` or elsewhere. What is not understood
    counts as a label of an unknown system."""
    meta = resource.get("meta")
    found = labels_of(meta) if type(meta) is dict else UNLABELLED
    return found if _BESIDE.isdisjoint(resource) else found | labels_beside(resource)


def labels_beside(resource: dict[str, Tree]) -> frozenset[Label]:
    """The labels in the elements `LABEL_ELEMENTS`."""
    found: set[Label] = set()
    if "securityLabel" in resource:
        listed = resource["securityLabel"]
        for concept in listed if type(listed) is list else [listed]:
            codings = concept.get("coding") if type(concept) is dict else None
            told = codings if type(codings) is list and codings else [None]
            found.update(map(_label, told))
    if not _CODES.isdisjoint(resource):
        code = resource.get("confidentiality")
        found.add(Label(CONFIDENTIALITY, code) if type(code) is str else UNREADABLE)
    return frozenset(found)


_CODES: Final = frozenset({"confidentiality", "_confidentiality"})
_BESIDE: Final = _CODES | {"securityLabel"}


def _label(coding: Tree) -> Label:
    if type(coding) is not dict:
        return UNREADABLE
    return Label(text(coding.get("system")) or "", text(coding.get("code")) or "")


def text(value: Tree) -> str | None:
    return value if type(value) is str else None
