"""Whose record is it: literal references, owners, and HL7's patient compartment.

A reference counts only if it is provably to a record on this server: relative, or absolute under
one of our own base URLs, with the right case and nothing after the id but a version. Another
server's `Patient/pat-a`, a prefix twin, a logical or contained reference names nobody here.
Patient.link is not followed. Nothing raises on odd data: what cannot be read owns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.paths import Path, walk
from gateway.core.values import Ref, is_id

_TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}")


def reference_of(value: object, bases: Sequence[str]) -> Ref | None:
    """The `Ref` that a FHIR Reference object names on this server, or None.

    `bases` are our own public and upstream base URLs, without a slash at the end. A `type` element
    that contradicts the reference makes it name nobody (FHIR references.html, Reference.type).
    """
    text = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(text, str) or not isinstance(value, dict):
        return None
    found = parse_reference(text, bases)
    if found is not None and "type" in value and value["type"] != found.type:
        return None
    return found


def parse_reference(text: str, bases: Sequence[str]) -> Ref | None:
    """`Type/id`, `Type/id/_history/v`, or one of these under one of `bases`; anything else is None."""
    for base in bases:
        if text.startswith(base) and text[len(base) : len(base) + 1] == "/":
            text = text[len(base) + 1 :]
            break
    parts = text.split("/")
    if len(parts) == 4 and parts[2] == "_history" and is_id(parts[3]):
        parts = parts[:2]
    if len(parts) != 2 or _TYPE.fullmatch(parts[0]) is None or not is_id(parts[1]):
        return None
    return Ref(parts[0], parts[1])


def owners(resource: object, catalogue: Catalogue, bases: Sequence[str]) -> frozenset[str]:
    """The ids of the patients a resource belongs to; empty for shared, denied and unreadable ones.

    Only the subject-like part of the compartment counts: who performed an Observation does not own it.
    """
    if not isinstance(resource, dict):
        return frozenset()
    type_ = resource.get("resourceType")
    if type_ == "Patient":
        return _self(resource)
    return (
        _patients(resource, catalogue.access(type_).owner, bases) if isinstance(type_, str) else frozenset()
    )


def members(resource: object, catalogue: Catalogue, bases: Sequence[str]) -> frozenset[str]:
    """The patients in whose literal HL7 compartment a resource is (compartmentdefinition-patient.html).

    More than `owners`: performers, authors and participants count. To find who else a record names,
    never to decide who may read it. As there, `Patient.link` is left out.
    """
    if not isinstance(resource, dict):
        return frozenset()
    type_ = resource.get("resourceType")
    if type_ == "Patient":
        return _self(resource)
    return (
        _patients(resource, catalogue.access(type_).members, bases) if isinstance(type_, str) else frozenset()
    )


def _self(patient: Mapping[str, Any]) -> frozenset[str]:
    id_ = patient.get("id")
    return frozenset({id_}) if isinstance(id_, str) and is_id(id_) else frozenset()


def _patients(resource: Mapping[str, Any], paths: Iterable[Path], bases: Sequence[str]) -> frozenset[str]:
    found = set()
    for path in paths:
        for value in walk(resource, path):
            ref = reference_of(value, bases)
            if ref is not None and ref.type == "Patient":
                found.add(ref.id)
    return frozenset(found)
