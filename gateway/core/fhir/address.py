"""The path below the FHIR base and the method: which interaction is asked, of what.

FHIR paths need no escapes, so the raw bytes are the path: letters, digits, `-` `.` `_` `$` between
single slashes, and nothing else. Dots alone, an empty segment, a slash at the end or an escape are
refused before anything is looked up. Query and body are not looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.values import is_id
from gateway.errors import BadRequest, MethodNotAllowed, NotFound

_PLAIN = re.compile(rb"/([A-Z][A-Za-z]*)(?:/([A-Za-z0-9\-.]+))?")
_SEGMENT = re.compile(rb"[A-Za-z0-9\-._$]+")
_TYPE = re.compile(r"[A-Z][A-Za-z]*")


@dataclass(frozen=True, slots=True)
class Address:
    """What is asked: an interaction by its FHIR name, with the segments that it names.

    `interaction` is answered (`read`, `vread`, `search-type`, `capabilities`, `$confirm`) or a key of
    `refused.INTERACTIONS`. `patient` is set for a search below `Patient/{id}/`.
    """

    interaction: str
    type: str | None = None
    id: str | None = None
    version: str | None = None
    patient: str | None = None


# Which methods FHIR has at which shape of path, and the interaction that each asks for.
_SEARCH = {"GET": "search-type", "HEAD": "search-type"}
_METHODS: Final[Mapping[str, Mapping[str, str]]] = {
    "base": {"GET": "search-system", "HEAD": "search-system", "POST": "batch"},
    "metadata": {"GET": "capabilities", "HEAD": "capabilities"},
    "system search": {"POST": "search-system"},
    "system history": {"GET": "history-system", "HEAD": "history-system"},
    "confirmation": {"GET": "$confirm", "HEAD": "$confirm"},
    "operation": {"GET": "operation", "HEAD": "operation", "POST": "operation"},
    "type": _SEARCH | {"POST": "create"},
    "type, with a query": _SEARCH
    | {"POST": "create", "PUT": "conditional", "PATCH": "conditional", "DELETE": "conditional"},
    "type search": {"POST": "search-type"},
    "type history": {"GET": "history-type", "HEAD": "history-type"},
    "instance": {"GET": "read", "HEAD": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete"},
    "instance history": {"GET": "history-instance", "HEAD": "history-instance"},
    "version": {"GET": "vread", "HEAD": "vread"},
    "patient compartment": _SEARCH,
    "other compartment": {"GET": "compartment", "HEAD": "compartment"},
}
_KNOWN_METHODS = {method for methods in _METHODS.values() for method in methods}


def parse_address(method: str, path: bytes, catalogue: Catalogue, *, has_query: bool) -> Address:
    """What `method` asks at `path` (b"", b"/", b"/Observation/x").

    Raises BadRequest (not a FHIR path), NotFound (unknown type), MethodNotAllowed.
    """
    if method not in _KNOWN_METHODS:
        raise MethodNotAllowed(f"Methods are {', '.join(sorted(_KNOWN_METHODS))}.")
    return _plain(method, path, catalogue) or _by_shape(method, path, catalogue, has_query=has_query)


def _plain(method: str, path: bytes, catalogue: Catalogue) -> Address | None:
    """What `_by_shape` makes of nearly every request, in one step: a type, or one of its instances."""
    found = _PLAIN.fullmatch(path) if method in _SEARCH else None
    if found is None or (type_ := found[1].decode()) not in catalogue.types:
        return None
    if found[2] is None:
        return Address("search-type", type_)
    id_ = found[2].decode()
    return Address("read", type_, id_) if is_id(id_) else None


def _by_shape(method: str, path: bytes, catalogue: Catalogue, *, has_query: bool) -> Address:
    shape, address = _shape(_segments(path), catalogue, has_query=has_query)
    methods = _METHODS[shape]
    if method not in methods:
        raise MethodNotAllowed(f"Methods at this address are {', '.join(sorted(methods))}.")
    return Address(methods[method], *address)


def _segments(path: bytes) -> list[str]:
    if path in (b"", b"/"):
        return []
    first, *segments = path.split(b"/")
    if first or not all(_SEGMENT.fullmatch(s) and s.strip(b".") for s in segments):
        raise BadRequest("The address is not a FHIR path.")
    return [s.decode("ascii") for s in segments]


# type, id, version, patient
_Named = tuple[str | None, str | None, str | None, str | None]
_NOTHING: _Named = (None, None, None, None)


def _shape(segments: list[str], catalogue: Catalogue, *, has_query: bool) -> tuple[str, _Named]:
    match segments:
        case []:
            return "base", _NOTHING
        case ["metadata"]:
            return "metadata", _NOTHING
        case ["_search"]:
            return "system search", _NOTHING
        case ["_history"]:
            return "system history", _NOTHING
        case [name] if name.startswith("$"):
            return "operation", _NOTHING
        case _:
            type_, *rest = segments
            _check_type(type_, catalogue)
            return _typed_shape(type_, rest, catalogue, has_query=has_query)


def _typed_shape(type_: str, rest: list[str], catalogue: Catalogue, *, has_query: bool) -> tuple[str, _Named]:
    match rest:
        case []:
            return ("type, with a query" if has_query else "type"), (type_, None, None, None)
        case ["_search"]:
            return "type search", (type_, None, None, None)
        case ["_history"]:
            return "type history", (type_, None, None, None)
        case [name] if name.startswith("$"):
            return "operation", (type_, None, None, None)
        case [id_, *more] if is_id(id_):
            return _instance_shape(type_, id_, more, catalogue)
        case _:
            raise BadRequest("The address is not a FHIR path.")


def _instance_shape(type_: str, id_: str, rest: list[str], catalogue: Catalogue) -> tuple[str, _Named]:
    match rest:
        case []:
            return "instance", (type_, id_, None, None)
        case ["_history"]:
            return "instance history", (type_, id_, None, None)
        case ["_history", version] if is_id(version):
            return "version", (type_, id_, version, None)
        case ["$confirm"] if type_ == "MedicationRequest":
            return "confirmation", (type_, id_, None, None)
        case [name] if name.startswith("$"):
            return "operation", (type_, id_, None, None)
        case ["_history", version, name] if is_id(version) and name.startswith("$"):
            return "operation", (type_, id_, version, None)
        case [inner] if _TYPE.fullmatch(inner):
            _check_type(inner, catalogue)
            shape = "patient compartment" if type_ == "Patient" else "other compartment"
            return shape, (inner, None, None, id_)
        case _:
            raise BadRequest("The address is not a FHIR path.")


def _check_type(text: str, catalogue: Catalogue) -> None:
    if _TYPE.fullmatch(text) is None:
        raise BadRequest("The address is not a FHIR path.")
    if text not in catalogue.types:
        raise NotFound("There is no such type of resource.")
