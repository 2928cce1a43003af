"""The FHIR RESTful interactions over the store, by the book (FHIR R4 http.html) and shaped as HAPI's.

One table of routes; each handler takes a Request and gives a Reply or raises. There is no access
control here, on purpose: whoever can reach the sandbox reads and writes all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from gateway.core.values import is_id
from gateway.errors import BadRequest, ConsentryError, MethodNotAllowed, NotAcceptable, NotFound
from gateway.sandbox import binary, metadata, pages, transaction
from gateway.sandbox.document import Document, parse
from gateway.sandbox.message import (
    Conflict,
    Pairs,
    Reply,
    Request,
    etag,
    failed,
    outcome,
    pairs,
    versioned,
)
from gateway.sandbox.pages import Snapshot, history_entries
from gateway.sandbox.search import Search, shaped
from gateway.sandbox.store import Store, Version

_FORM = "application/x-www-form-urlencoded"


class Server:
    """The sandbox without its network. `now` is read once per write."""

    def __init__(self, search: Search, page_size: int, now: Callable[[], datetime]) -> None:
        self.store: Store = search.store
        self.search = search
        self._pages = pages.Pages()
        self._page_size = page_size
        self._now = now

    def answer(self, request: Request) -> Reply:
        """The reply to any request; what the client did wrong comes back as an OperationOutcome."""
        try:
            return self.handle(request)
        except ConsentryError as error:
            return failed(error)

    def handle(self, request: Request) -> Reply:
        _check_format(request)
        if request.path and request.path[0] not in ("metadata", "_history"):
            self.search.grammar.check_type(request.path[0])
        match request.method, request.path:
            case "GET", (type, "_history"):
                return self._history(request, type)
            case "GET", (type, id):
                return self._read(request, type, id, None)
            case "GET", (type,) if type not in ("metadata", "_history"):
                return self._search(request, type, request.query)
            case "GET", ("metadata",):
                return metadata.statement(self.search.catalogue, request.base, self._now())
            case "GET", ():
                return self._pages.follow(request)
            case "GET", (type, id, "_history"):
                return self._history(request, type, id)
            case "GET", (type, id, "_history", number):
                return self._read(request, type, id, number)
            case "GET", ("_history",):
                return self._history(request)
            case "POST", (type, "_search"):
                return self._search(request, type, request.query + _form(request))
            case "POST", ():
                return transaction.run(self, request)
            case "POST", (type,):
                return self._create(request, type)
            case "PUT", (type, id):
                return self._update(request, type, id)
            case "PUT", (type,):
                return self._update(request, type, None)
            case "DELETE", (type, id):
                return self._delete(request, type, id)
            case "DELETE", (type,):
                found = self.unique(type, request.query, request.base)
                return self._delete(request, type, found.id) if found else _deleted(None)
            case _:
                raise MethodNotAllowed("This server has no such interaction.")

    def unique(self, type: str, criteria: Pairs, base: str) -> Version | None:
        """The one match of a conditional interaction, None without a match. Raises Conflict for several."""
        if not criteria:
            raise BadRequest("A conditional interaction needs criteria.")
        found = self.search.run(self.search.grammar.query(type, criteria, base, strict=True), base)
        if len(found) > 1:
            raise Conflict("Several resources match the criteria.")
        return found[0] if found else None

    def existing(self, type: str, request: Request) -> Version | None:
        """What an If-None-Exist matches, so that it is not created again."""
        criteria = request.headers.get("if-none-exist")
        if criteria is None:
            return None
        return self.unique(type, pairs(criteria.partition("?")[2] or criteria), request.base)

    def conditional_id(self, request: Request, type: str, document: Document) -> str:
        """The id that a conditional update writes: of the match, or else of a new resource."""
        found = self.unique(type, request.query, request.base)
        return found.id if found else document.id or self.store.new_id(type)

    def _read(self, request: Request, type: str, id: str, number: str | None) -> Reply:
        version = self.store.read(type, id, number)
        if type == "Binary" and not binary.is_fhir(_wanted(request)):
            return binary.unwrap(version, request.base)
        if request.headers and _unchanged(request, version):
            return versioned(304, version, request.base, b"")
        return shaped(versioned(200, version, request.base), request.query)

    def _search(self, request: Request, type: str, query: Pairs) -> Reply:
        asked = self.search.grammar.query(type, query, request.base, request.strict)
        token = pages.token(self.store.revision, request.base, asked.path)
        if (snapshot := self._pages.find(token)) is not None:
            return pages.page(snapshot, request.base)
        found = self.search.run(asked, request.base)
        count = 0 if asked.counted else pages.count_of(asked.count, self._page_size)
        total = len(found) if asked.total or count == 0 else None
        render = self.search.renderer(asked)
        return self._first_page(
            request, Snapshot(token, "searchset", asked.path, found, self._now(), count, total, render)
        )

    def _history(self, request: Request, type: str | None = None, id: str | None = None) -> Reply:
        query = dict(request.query)
        since = _instant(query["_since"]) if "_since" in query else None
        every = tuple(self.store.history(type, id))
        if id is not None and not every:
            raise NotFound(f"Resource {type}/{id} is not known")
        found = tuple(v for v in every if since is None or v.updated >= since)
        place = "/".join(request.path) + ("?" + urlencode(request.query) if query else "")
        token = pages.token(self.store.revision, place)
        count = pages.count_of(query.get("_count"), self._page_size)
        return self._first_page(
            request, Snapshot(token, "history", place, found, self._now(), count, len(found), history_entries)
        )

    def _first_page(self, request: Request, snapshot: Snapshot) -> Reply:
        return pages.page(self._pages.keep(snapshot), request.base)

    def _create(self, request: Request, type: str) -> Reply:
        document = _resource(request, type)
        found = self.existing(type, request)
        if found is not None:
            return _written(request, 200, found)
        id = request.new_id or self.store.new_id(type)
        return _written(request, 201, self.store.put(document, id, "POST", self._now()))

    def _update(self, request: Request, type: str, id: str | None) -> Reply:
        document = _resource(request, type)
        if id is None:
            id = request.new_id or self.conditional_id(request, type, document)
        elif document.id != id:
            raise BadRequest("The id of the resource is not that of the address.")
        if not is_id(id):
            raise BadRequest("That is not a FHIR id.")
        current = self.store.current(type, id)
        _check_version(request, current)
        version = self.store.put(document, id, "PUT", self._now())
        return _written(request, 200 if current else 201, version)

    def _delete(self, request: Request, type: str, id: str) -> Reply:
        _check_version(request, self.store.current(type, id))
        return _deleted(self.store.delete(type, id, self._now()))


def _check_format(request: Request) -> None:
    wanted = _wanted(request)
    if request.path[:1] == ("Binary",) or any(known in wanted for known in ("json", "*/*", "application/*")):
        return
    raise NotAcceptable("This server speaks JSON only.")


def _wanted(request: Request) -> str:
    """The format asked for: `_format` goes before Accept (FHIR http.html)."""
    return dict(request.query).get("_format") or request.headers.get("accept") or "*/*"


def _resource(request: Request, type: str) -> Document:
    if type == "Binary" and not binary.is_fhir(request.headers.get("content-type")):
        return parse(binary.wrap(request))
    document = parse(request.body)
    if document.type != type:
        raise BadRequest("The resource is not of the type that the address names.")
    return document


def _form(request: Request) -> Pairs:
    if request.headers.get("content-type", _FORM).partition(";")[0].strip() != _FORM:
        raise BadRequest("A search is posted as a form.")
    try:
        return pairs(request.body.decode())
    except UnicodeDecodeError as error:
        raise BadRequest("The form is not UTF-8.") from error


def _unchanged(request: Request, version: Version) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags == "*" or etag(version) in (t.strip() for t in tags.split(","))
    since = request.headers.get("if-modified-since")
    try:
        return since is not None and version.updated.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False  # RFC 9110 section 13.1.3: a date that does not parse is ignored


def _check_version(request: Request, current: Version | None) -> None:
    wanted = request.headers.get("if-match")
    held = etag(current) if current else None
    if wanted is not None and (held is None or held.removeprefix("W/") != wanted.removeprefix("W/")):
        raise Conflict("The current version is not the one in If-Match.")
    if request.headers.get("if-none-match") == "*" and current is not None:
        raise Conflict("The resource is there already.")


def _written(request: Request, status: int, version: Version) -> Reply:
    if "return=minimal" in request.prefer:
        return versioned(status, version, request.base, b"")
    if "return=OperationOutcome" in request.prefer:
        done = outcome(status, "informational", f"Stored {version.path}", "information")
        return versioned(status, version, request.base, done.body)
    return versioned(status, version, request.base, version.body)


def _deleted(version: Version | None) -> Reply:
    text = "Deleted" if version else "There was nothing to delete"
    done = outcome(200, "informational", text, "information")
    return replace(done, headers=((b"etag", etag(version).encode()),)) if version else done


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest("_since is an instant.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
