"""What the endpoints for programs that speak for the hospital share: the operator's secret, JSON, errors.

Errors are `{"error": text}`. A program shows `Authorization: Bearer` with the secret of `operator.key`.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.auth import http
from gateway.core.fhir import codec
from gateway.errors import BadRequest, ConsentryError, Unauthenticated
from gateway.tokens.bearer import bearer_of

MAX_BODY_BYTES = 16 * 1024

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


def guarded(handler: Handler, secret: str) -> Handler:
    """`handler` for who shows `secret`, with every error that has a name as an answer."""

    async def handle(request: Request) -> Response:
        try:
            _authorise(request, secret)
            return await handler(request)
        except ConsentryError as error:
            return reply({"error": error.text}, error.status)

    return handle


async def read_as(request: Request, shape: type[T]) -> T:
    """The request's body, JSON, as `shape`. Raises BadRequest, PayloadTooLarge."""
    raw = await http.read_body(request, MAX_BODY_BYTES)
    try:
        codec.parse(raw)  # which refuses a member that is there twice
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body does not fit: {error}.") from error
    except (codec.CodecError, msgspec.DecodeError) as error:
        raise BadRequest("The body is not JSON.") from error


def reply(body: Mapping[str, object], status: int = 200) -> Response:
    return JSONResponse(body, status, headers=http.NO_STORE)


def _authorise(request: Request, secret: str) -> None:
    given = bearer_of(http.authorization_of(request))
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise Unauthenticated("The operator's secret is not the right one.")
