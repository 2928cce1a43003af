"""One resource as bytes: what was written stays as it was written, apart from `id` and `meta`.

The text is cut into its top-level members and only the members the server owns are replaced, so a
decimal keeps its digits and a string its escapes. The tree made beside it is for searching alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jiter
import msgspec

from gateway.errors import BadRequest

Tree = dict[str, Any]
_Members = dict[str, msgspec.Raw]

_STRING = rb'"((?:[^"\\]|\\.)*)"'
_REFERENCE = re.compile(rb'(?<!\\)"reference"\s*:\s*' + _STRING)
# FHIR http.html, transaction rules: references and URLs are replaced, identifiers are not.
_LINK = re.compile(rb'((?<!\\)"(?:reference|url|valueUri|valueUrl)"\s*:\s*)' + _STRING)


@dataclass(frozen=True, slots=True)
class Document:
    """A resource that parsed: its members as written, and the same as a tree with lossless numbers."""

    members: _Members
    tree: Tree

    @property
    def type(self) -> str:
        return str(self.tree["resourceType"])

    @property
    def id(self) -> str | None:
        return self.tree.get("id")


def parse(body: bytes) -> Document:
    """A resource from JSON. Raises BadRequest for anything else, duplicate keys included."""
    try:
        tree = jiter.from_json(
            body, float_mode="lossless-float", allow_inf_nan=False, catch_duplicate_keys=True
        )
        if not isinstance(tree, dict) or not isinstance(tree.get("resourceType"), str):
            raise BadRequest("The body is not a FHIR resource.")
        if not isinstance(tree.get("meta", {}), dict) or not isinstance(tree.get("id", ""), str):
            raise BadRequest("The id or meta of the resource is not of its type.")
        return Document(members_of(body), tree)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not valid JSON.") from error


def members_of(body: bytes | msgspec.Raw) -> _Members:
    return msgspec.json.decode(body, type=_Members)


def join(members: Mapping[str, msgspec.Raw]) -> bytes:
    return msgspec.json.encode(members)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def stamp(document: Document, id: str, version: int, updated: datetime) -> bytes:
    """The text to store: `resourceType`, `id`, `meta`, then the other members as they came."""
    written = document.members.get("meta")
    meta = {"versionId": raw(str(version)), "lastUpdated": raw(instant(updated))}
    if written is not None:
        meta |= {k: v for k, v in members_of(written).items() if k not in meta}
    owned = {
        "resourceType": document.members["resourceType"],
        "id": raw(id),
        "meta": msgspec.Raw(join(meta)),
    }
    return join(owned | {k: v for k, v in document.members.items() if k not in owned})


def instant(moment: datetime) -> str:
    """FHIR `instant` in UTC with milliseconds, as HAPI writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def references(body: bytes) -> frozenset[str]:
    """Every literal reference in the text as it is written, but without the version."""
    return frozenset(_unquote(match).partition("/_history/")[0] for match in _REFERENCE.findall(body))


def relink(body: bytes, target: Callable[[str], str | None]) -> bytes:
    """The text with every reference and URL replaced for which `target` knows another."""

    def replace(match: re.Match[bytes]) -> bytes:
        other = target(_unquote(match[2]))
        return match[0] if other is None else match[1] + msgspec.json.encode(other)

    return _LINK.sub(replace, body)


def only(body: bytes, keep: Iterable[str]) -> bytes:
    """The text cut to some top-level members and marked SUBSETTED (FHIR search.html, `_elements`)."""
    members, wanted = members_of(body), {"resourceType", "id", "meta", *keep}
    meta = members_of(members["meta"])
    tags = msgspec.json.decode(meta["tag"], type=list[msgspec.Raw]) if "tag" in meta else []
    meta["tag"] = msgspec.Raw(msgspec.json.encode([*tags, _SUBSETTED]))
    kept = {k: v for k, v in members.items() if k.removeprefix("_") in wanted}
    return join(kept | {"meta": msgspec.Raw(join(meta))})


def _unquote(inside: bytes) -> str:
    return msgspec.json.decode(b'"' + inside + b'"', type=str)


_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
