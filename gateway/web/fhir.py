"""The FHIR addresses of one upstream, as a plain ASGI application: guard, walk, render.

Any failure that has no name of its own becomes a bare 500: the walk raises before it has anything to
release, and what went wrong is for the operator's log alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Receive, Scope, Send

from gateway import errors
from gateway.core.fhir.conditional import http_date
from gateway.pipeline import serve
from gateway.ports import Answer, Incoming, Ports
from gateway.tokens.bearer import scheme_of
from gateway.tokens.certificate import STATE
from gateway.web.cors import Origins, nobody, sharing
from gateway.web.guard import Guarded, guard, read_body
from gateway.web.metrics import Metrics
from gateway.web.notes import Notes
from gateway.web.render import Header, error_headers, outcome, respond

FAILED: Final = "The gateway failed; nothing was released."
WELL_KNOWN: Final = b"/.well-known/"
METADATA: Final = b"/metadata"
NOTICE: Final = (b"consent-notice", b"information-may-be-withheld")
NO_STATE: Final[Mapping[str, bytes]] = {}

log = logging.getLogger("consentry.fhir")


class FhirEndpoint:
    """Serves `ports`' upstream below `base_path`, to pages of `origins` too. `under_way` counts the requests
    that are not answered."""

    def __init__(
        self,
        ports: Ports,
        base_path: str,
        hosts: Collection[bytes],
        metrics: Metrics,
        max_body_bytes: int,
        origins: Origins = nobody,
    ) -> None:
        self._origins = origins
        self._ports, self._hosts = ports, hosts
        self._base = base_path.encode()
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._notes = Notes(log)
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        self.under_way += 1
        try:
            await self._respond(scope, receive, send)
        finally:
            self.under_way -= 1

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin, encoding, origin = time.perf_counter(), b"", b""
        try:
            guarded = guard(scope, self._hosts)
            encoding, origin = guarded.accept_encoding, guarded.origin
            answer = await self._answer(scope, receive, guarded)
            body, headers = self._rendered(answer, scope)
        except errors.ConsentryError as error:
            answer = Answer(error.status, b"", (), error=error)
            body, headers = self._rendered(answer, scope)
        except Exception:
            log.exception("a request failed")
            answer = Answer(500, b"", (), error=errors.ConsentryError(FAILED))
            body, headers = self._rendered(answer, scope)
        if origin:
            headers += await self._shared(scope, origin)
        self._metrics.count_answer(answer, time.perf_counter() - begin)
        head = scope["method"] == "HEAD"
        await respond(send, answer.status, body, headers, accept_encoding=encoding, head=head)

    async def _shared(self, scope: Scope, origin: bytes) -> list[Header]:
        public = scope["raw_path"] == self._base + METADATA
        try:
            return await sharing(origin, self._origins, public=public, preflight=scope["method"] == "OPTIONS")
        except errors.ConsentryError as error:
            self._notes.note(error)
            return []  # a page that may not read it is told nothing; what was recorded stays

    async def _answer(self, scope: Scope, receive: Receive, guarded: Guarded) -> Answer:
        method, query = scope["method"], scope["query_string"]
        if method == "OPTIONS":
            return Answer(204, b"", ())
        _check_no_token(query)
        path = scope["raw_path"][len(self._base) :]
        if path.startswith(WELL_KNOWN):
            raise errors.NotFound("There is nothing at this address.")
        body = await read_body(receive, self._max_body_bytes) if guarded.has_body else b""
        certificate = scope.get("state", NO_STATE).get(STATE)
        incoming = Incoming(
            method,
            path,
            query,
            guarded.headers,
            guarded.authorization,
            body,
            guarded.proof,
            certificate,
        )
        return await serve(self._ports, incoming)

    def _rendered(self, answer: Answer, scope: Scope) -> tuple[bytes, list[Header]]:
        headers = [(b"ledger-entry", str(receipt).encode()) for receipt in answer.receipts]
        if answer.noticed or self._ports.notice == "generic":
            headers.append(NOTICE)
        if answer.error is not None:
            self._notes.note(answer.error)
            sent = scheme_of(value for name, value in scope["headers"] if name == b"authorization")
            return outcome(answer.error), headers + error_headers(answer.error, sent)
        if answer.tag is not None:
            headers.append((b"etag", f'W/"{answer.tag}"'.encode()))
        if answer.modified is not None:
            headers.append((b"last-modified", _http_date(answer.modified)))
        if answer.status == 204:
            headers.append((b"allow", b"GET, HEAD, POST, OPTIONS"))
        return answer.body, headers


@lru_cache(maxsize=4096)  # a calendar takes longer than the rest of a head
def _http_date(at_s: int) -> bytes:
    return http_date(at_s).encode()


def _check_no_token(query: bytes) -> None:
    """A token in the address is in every log on the way, so it counts as none (RFC 6750 section 5.3).

    Raises:
        Unauthenticated: the query has the parameter of RFC 6750 section 2.3, however it is written.
    """
    if b"access_token" not in query and b"%" not in query:
        return
    names = (unquote_to_bytes(pair.partition(b"=")[0]) for pair in query.split(b"&"))
    if b"access_token" in names:
        raise errors.Unauthenticated(
            "An access token is taken from the Authorization header, never from the address.",
            oauth_error=None,
        )
