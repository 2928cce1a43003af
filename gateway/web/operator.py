"""What every address of the operator API shares: the operator's credentials, JSON bodies, errors.

Operators have credentials of their own: `Authorization: Bearer` with the secret of `operator.key`. A FHIR
access token opens nothing here, and the operator's secret opens no FHIR address. Errors are
`{"error": text}`.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway import errors
from gateway.consents.follow import Follower
from gateway.core.fhir import codec
from gateway.tokens.bearer import bearer_of
from gateway.web.guard import read_body
from gateway.web.notes import Notes

MAX_BODY_BYTES = 64 * 1024

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]
Guarded = Callable[[Handler], Handler]

log = logging.getLogger("consentry.admin")


def guarded_by(secret: str, consents: Follower) -> Guarded:
    """Handlers for who holds `secret`, each with the consents at the ledger head."""
    notes = Notes(log)

    def guarded(handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                _authorise(request, secret)
                consents.at_head()
                return await handler(request)
            except errors.ConsentryError as error:
                notes.note(error)
                return reply({"error": error.text}, error.status)

        return handle

    return guarded


async def read_as(request: Request, shape: type[T], most: int = MAX_BODY_BYTES) -> T:
    """The request's body, JSON of at most `most` bytes, as `shape`. Raises BadRequest."""
    raw = await read_body(request.receive, most) or b"{}"
    try:
        codec.parse(raw)
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise errors.BadRequest(f"The body does not fit: {error}.") from error
    except (codec.CodecError, msgspec.DecodeError) as error:
        raise errors.BadRequest("The body is not JSON.") from error


def fitting(tree: object, shape: type[T]) -> T:
    """`tree` as `shape`. Raises BadRequest with what does not fit."""
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise errors.BadRequest(f"The body does not fit: {error}.") from error


def reply(body: Any, status: int = 200) -> Response:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


def _authorise(request: Request, secret: str) -> None:
    given = bearer_of([v for k, v in request.headers.raw if k == b"authorization"])
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise errors.Unauthenticated("The operator's secret is not the right one.")
