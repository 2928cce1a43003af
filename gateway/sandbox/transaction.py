"""Batch and transaction Bundles (FHIR R4 http.html, batch/transaction).

A batch answers each entry by itself. A transaction promises ids first, points every reference between
its entries at them, applies DELETE, POST, PUT, GET in that order, and takes all of it back on any failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.errors import BadRequest
from gateway.sandbox.document import parse, relink
from gateway.sandbox.message import Conflict, Reply, Request, pairs

if TYPE_CHECKING:
    from gateway.sandbox.server import Server

_ORDER = ("DELETE", "POST", "PUT", "GET", "HEAD")
_CONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
}


class _Entry(msgspec.Struct):
    request: dict[str, str]
    fullUrl: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Bundle(msgspec.Struct):
    resourceType: str
    type: str
    entry: list[_Entry] = []


_bundle = msgspec.json.Decoder(_Bundle)


def run(server: Server, request: Request) -> Reply:
    """The response Bundle, its entries in the order of the request's."""
    parse(request.body)
    try:
        bundle = _bundle.decode(request.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("The body is not a batch or transaction Bundle.") from error
    requests = [_request(request, entry) for entry in bundle.entry]
    match bundle.resourceType, bundle.type:
        case "Bundle", "batch":
            replies = [server.answer(one) for one in requests]
        case "Bundle", "transaction":
            replies = _together(server, bundle.entry, requests)
        case _:
            raise BadRequest("The body is not a batch or transaction Bundle.")
    entries = [_entry(one, reply) for one, reply in zip(requests, replies, strict=True)]
    tree = {"resourceType": "Bundle", "type": f"{bundle.type}-response", "entry": entries}
    return Reply(200, msgspec.json.encode(tree))


def _together(server: Server, entries: Sequence[_Entry], requests: Sequence[Request]) -> list[Reply]:
    mark = server.store.mark()
    try:
        promised = [_promise(server, one) for one in requests]
        links = {
            e.fullUrl: f"{r.path[0]}/{r.new_id}"
            for e, r in zip(entries, promised, strict=True)
            if e.fullUrl and r.new_id
        }
        _check_distinct(promised)
        replies: dict[int, Reply] = {}
        for index in sorted(range(len(promised)), key=lambda i: _rank(promised[i])):
            replies[index] = server.handle(_relinked(server, promised[index], links))
        return [replies[index] for index in range(len(promised))]
    except BaseException:
        server.store.rollback(mark)
        raise


def _promise(server: Server, request: Request) -> Request:
    """The request with the id its resource will have, so that references can be pointed at it."""
    match request.method, request.path:
        case "POST", (type,):
            found = server.existing(type, request)
            return replace(request, new_id=found.id if found else server.store.new_id(type))
        case "PUT", (_, id):
            return replace(request, new_id=id)
        case "PUT", (type,):
            id = server.conditional_id(request, type, parse(request.body))
            return replace(request, new_id=id)
        case _:
            return request


def _check_distinct(requests: Sequence[Request]) -> None:
    written = [(r.path[0], r.new_id or r.path[-1]) for r in requests if r.method in ("POST", "PUT", "DELETE")]
    if len(written) != len(set(written)):
        raise BadRequest("Two entries of the transaction write the same resource.")


def _relinked(server: Server, request: Request, links: Mapping[str, str]) -> Request:
    def target(url: str) -> str | None:
        return links.get(url) or _match(server, request, url)

    return replace(request, body=relink(request.body, target))


def _match(server: Server, request: Request, url: str) -> str | None:
    """The resource a conditional reference (`Practitioner?identifier=…`) stands for."""
    type, mark, query = url.partition("?")
    if not mark or type not in server.search.catalogue.types:
        return None
    found = server.unique(type, pairs(query), request.base)
    if found is None:
        raise Conflict("A conditional reference matches nothing.")
    return found.path


def _rank(request: Request) -> int:
    return _ORDER.index(request.method) if request.method in _ORDER else len(_ORDER)


def _request(outer: Request, entry: _Entry) -> Request:
    if "method" not in entry.request or "url" not in entry.request:
        raise BadRequest("Every entry of a batch or transaction has a method and a URL.")
    headers = {header: entry.request[name] for name, header in _CONDITIONS.items() if name in entry.request}
    kept = {"prefer": outer.headers["prefer"]} if "prefer" in outer.headers else {}
    url = entry.request["url"]
    return outer.to(
        entry.request["method"], url, headers=headers | kept, body=bytes(entry.resource), new_id=None
    )


def _entry(request: Request, reply: Reply) -> dict[str, Any]:
    response: dict[str, Any] = {"status": reply.status_line}
    entry: dict[str, Any] = {"response": response}
    if reply.version is not None:
        if location := reply.header(b"location"):
            response["location"] = location.removeprefix(request.base + "/")
        response["etag"] = reply.header(b"etag")
        response["lastModified"] = reply.version.tree["meta"]["lastUpdated"]
    if reply.status >= 400:
        response["outcome"] = msgspec.Raw(reply.body)
    elif reply.body and (request.method == "GET" or "return=representation" in request.prefer):
        entry["resource"] = msgspec.Raw(reply.body)
    return entry
