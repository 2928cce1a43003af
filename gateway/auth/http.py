"""What the endpoints that programs call have in common: one reading of a request, and errors as OAuth says.

An error is JSON (RFC 6749 section 5.2, RFC 7591 section 3.2.2) that nobody caches. What a caller sends never
ends in a status over 499, and what is ours to answer for says no more than that it is.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from gateway.core.smart import dpop, parameters
from gateway.errors import (
    BadRequest,
    ConsentryError,
    OAuthCode,
    OAuthError,
    PayloadTooLarge,
    Scheme,
    Unauthenticated,
)
from gateway.tokens.bearer import scheme_of
from gateway.tokens.certificate import STATE, Certificate, in_force

Handler = Callable[[Request], Awaitable[Response]]

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
# What a 401 asks for (RFC 9110 section 11.6.1): access tokens by RFC 6750 or RFC 9449, clients by HTTP Basic.
CHALLENGES: Final = {
    ("invalid_token", "Bearer"): 'Bearer error="invalid_token"',
    **{
        (code, dpop.SCHEME): f'{dpop.SCHEME} error="{code}", algs="{" ".join(dpop.ALGORITHMS)}"'
        for code in ("invalid_token", dpop.CODE)
    },
}
CLIENT_CHALLENGE: Final = 'Basic realm="consentry"'

_FORM: Final = "application/x-www-form-urlencoded"

log = logging.getLogger("consentry.auth")


def endpoint(handler: Handler) -> Handler:
    """`handler`, with every failure as an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except OAuthError as error:
            return failure(error)
        except ConsentryError as error:
            return _other_failure(error, scheme_of(authorization_of(request)))
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was issued and nothing is told
            log.error("A defect: %s", type(error).__qualname__)
            return _reply({"error": "server_error"}, 500)

    return answer


def reply(body: Mapping[str, Any], status: int = 200) -> Response:
    """An answer in JSON that is for the caller alone."""
    return _reply(body, status)


def failure(error: OAuthError, scheme: Scheme = "Bearer") -> Response:
    """`scheme` is the one to come back with, if it is an access token that was refused."""
    challenge = CHALLENGES.get((error.error, scheme), CLIENT_CHALLENGE)
    headers = {"WWW-Authenticate": challenge} if error.status == 401 else {}
    return _reply({"error": error.error, "error_description": error.text}, error.status, headers)


async def read_form(request: Request) -> Mapping[str, str]:
    """The parameters of a form (`parameters.read_parameters`).

    They are in the body alone: what is in an address gets into logs, and would be a second reading of the
    request (RFC 6749 sections 2.3.1 and 3.2). Raises OAuthError invalid_request.
    """
    if media_type(request) != _FORM or not _is_utf8(request):
        raise OAuthError("invalid_request", f"The request is not a form of the media type {_FORM} in UTF-8.")
    if request.scope["query_string"]:
        raise OAuthError("invalid_request", "The parameters are sent in the body, not in the address.")
    if "content-encoding" in request.headers:
        raise OAuthError("invalid_request", "The body of the request is encoded.")
    return parameters.read_parameters(await read_body(request, parameters.MAX_BYTES))


def media_type(request: Request) -> str:
    """The one media type of the body, without its parameters. Raises OAuthError invalid_request."""
    types = request.headers.getlist("content-type")
    if len(types) > 1:
        raise OAuthError("invalid_request", "The request has more than one Content-Type.")
    return types[0].partition(";")[0].strip().lower() if types else ""


def _is_utf8(request: Request) -> bool:
    """Whether the Content-Type says nothing more than that the body is UTF-8, which many clients add."""
    _, semicolon, rest = request.headers["content-type"].partition(";")
    return not semicolon or rest.strip().lower().replace('"', "") == "charset=utf-8"


def authorization_of(request: Request) -> list[bytes]:
    """All values of the request's Authorization headers."""
    return [value for name, value in request.headers.raw if name == b"authorization"]


def proof_of(request: Request) -> bytes | None:
    """The request's DPoP header; several are one list (RFC 9110 section 5.3), which is no proof."""
    values = [value for name, value in request.headers.raw if name == b"dpop"]
    return b", ".join(values) if values else None


def certificate_of(request: Request, now_s: int) -> Certificate | None:
    """The certificate of the client's TLS connection, if it has one that is in force."""
    return in_force(request.scope.get("state", {}).get(STATE), now_s)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises PayloadTooLarge; BadRequest if the caller went away before its end."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise PayloadTooLarge("The request is too large.")
    except ClientDisconnect as error:
        raise BadRequest("The request ended early.") from error
    return bytes(body)


def _other_failure(error: ConsentryError, sent: Scheme) -> Response:
    if error.status >= 500:
        cause = error.__cause__
        log.warning("%s: %s", type(error).__name__, "no cause" if cause is None else type(cause).__qualname__)
        return _reply({"error": "temporarily_unavailable"}, 503)
    code, scheme = _code(error, sent)
    try:
        return failure(OAuthError(code, error.text, error.status), scheme)
    except ValueError:  # words that OAuth does not allow
        return failure(OAuthError(code, "The request is not accepted.", error.status), scheme)


def _code(error: ConsentryError, sent: Scheme) -> tuple[OAuthCode, Scheme]:
    """The error code, and the scheme to come back with."""
    if not isinstance(error, Unauthenticated):
        return "invalid_request", sent
    return "invalid_dpop_proof" if error.oauth_error == dpop.CODE else "invalid_token", error.scheme or sent


def _reply(body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(body, status, headers={**NO_STORE, **(headers or {})})
