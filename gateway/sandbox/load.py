"""Fills a sandbox: Bundles, lists of resources or NDJSON, plain or gzip.

A transaction or batch runs as if it had been posted; resources of any other Bundle, list or NDJSON are
stored under their own ids. Each text is loaded whole or not at all.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import BadRequest, ConsentryError
from gateway.sandbox.message import Request

if TYPE_CHECKING:
    from gateway.sandbox.server import Server

_GZIP = b"\x1f\x8b"


class _Resource(msgspec.Struct):
    resourceType: str
    id: str = ""
    type: msgspec.Raw = msgspec.Raw(b"")


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Collection(msgspec.Struct):
    entry: list[_Entry] = []


def texts(places: Iterable[Path]) -> Iterator[bytes]:
    """The texts of files, and of the .json, .ndjson and .gz files of folders, in the order of their names."""
    for place in places:
        files = [place] if place.is_file() else sorted(place.iterdir())
        yield from (f.read_bytes() for f in files if f.suffix in (".json", ".ndjson", ".gz"))


def load(server: Server, text: bytes) -> None:
    """Store what a text holds. Raises ConsentryError (BadRequest when it is of no known form)."""
    base = Request("POST", (), (), {}, b"", "")
    mark = server.store.mark()
    try:
        for resource in _resources(_plain(text)):
            head = msgspec.json.decode(resource, type=_Resource)
            if bytes(head.type) in (b'"transaction"', b'"batch"') and head.resourceType == "Bundle":
                server.handle(base.to("POST", "", body=resource))
            else:
                method, url = (
                    ("PUT", f"{head.resourceType}/{head.id}") if head.id else ("POST", head.resourceType)
                )
                server.handle(base.to(method, url, body=resource))
    except (msgspec.DecodeError, ConsentryError) as error:
        server.store.rollback(mark)
        raise (
            error if isinstance(error, ConsentryError) else BadRequest("The data is not FHIR JSON.")
        ) from error


def _plain(text: bytes) -> bytes:
    try:
        return gzip.decompress(text) if text.startswith(_GZIP) else text
    except (OSError, EOFError, zlib.error) as error:
        raise BadRequest("The data is not whole gzip.") from error


def _resources(text: bytes) -> list[bytes]:
    """The resources of a list, a collection or NDJSON; one that is to be posted whole stands for itself."""
    if text.lstrip().startswith(b"["):
        return [bytes(r) for r in msgspec.json.decode(text, type=list[msgspec.Raw])]
    try:
        head = msgspec.json.decode(text, type=_Resource)
    except msgspec.DecodeError:
        return [line for line in text.splitlines() if line.strip()]
    if head.resourceType == "Bundle" and bytes(head.type) in (b'"collection"', b'"searchset"'):
        return [bytes(e.resource) for e in msgspec.json.decode(text, type=_Collection).entry]
    return [text]
