"""What kinds of records a provision names: resource types, profiles, types of documents.

A resource type that is taken for a document's type matches no record, and its deny is lost. So what could be
meant for a resource type is read as one, or refused: only a system that cannot be mistaken for theirs has
types of documents.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.element import Element
from gateway.core.consent.rule import PROFILES, RESOURCE_TYPES
from gateway.core.fhir.systems import same_system
from gateway.core.values import Label

_DEFINITIONS: Final = "http://hl7.org/fhir/StructureDefinition"
_MEDIA_TYPES: Final = "urn:ietf:bcp:13"


def kind_of_record(at: Element, types: Set[str], *, type_alone: bool) -> Label | None:
    """The kind that the Coding at `at` names, a problem if it cannot be told which. With `type_alone` it has
    to be one of the resource types `types`, as in R5's `resourceType`."""
    found = codes.coding(at)
    if found is None:
        return None
    if found.system == RESOURCE_TYPES:
        if found.code not in types:
            at.refuse("is no resource type of this release", "code")
        return found
    if type_alone:
        at.refuse(f"is not {RESOURCE_TYPES}, and only resource types can stand here", "system")
        return None
    if found.system == PROFILES:
        return _profile(at, found, types)
    reason = _mistakable(found, types)
    if reason is not None:
        at.refuse(reason, "system")
        return None
    return found


def _profile(at: Element, found: Label, types: Set[str]) -> Label | None:
    """The profile; FHIR's own of a type is the type, whatever its version."""
    name = found.code.partition("|")[0].rstrip("/").rpartition("/")[2]
    told = {kind: same_system(found.code, f"{_DEFINITIONS}/{kind}") for kind in types if _alike(kind, name)}
    if True in told.values():
        return Label(RESOURCE_TYPES, next(kind for kind, same in told.items() if same))
    if None in told.values():
        at.refuse("cannot be told from the profile that FHIR has of a resource type", "code")
        return None
    return found


def _mistakable(found: Label, types: Set[str]) -> str | None:
    """Why the type of a document may be something else."""
    if found.system.casefold().startswith(_MEDIA_TYPES):
        return "is of media types, by which records are not compared"
    if any(_alike(kind, found.code) for kind in types):
        return f"is not {RESOURCE_TYPES}, and the code is the name of a resource type"
    if not codes.is_number(found.system) and same_system(found.system, _DEFINITIONS) is not False:
        return f"is of profiles, which are named by {PROFILES} and their address as code"
    if codes.may_be(found.system, RESOURCE_TYPES) or codes.may_be(found.system, PROFILES):
        return f"cannot be told from {RESOURCE_TYPES} or {PROFILES}"
    return None


def _alike(kind: str, code: str) -> bool:
    return kind.casefold() == code.strip().casefold()
