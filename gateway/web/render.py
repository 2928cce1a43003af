"""Errors and bodies as HTTP: OperationOutcome, the headers every answer carries, gzip for who asks."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterable
from typing import Final

from starlette.types import Send

from gateway import errors
from gateway.core.smart import dpop

FHIR_JSON: Final = b"application/fhir+json"
ALWAYS: Final = (
    (b"cache-control", b"no-store"),
    (b"vary", b"Authorization, Accept, Accept-Encoding, Origin"),
    (b"x-content-type-options", b"nosniff"),
)
SMALLEST_GZIP: Final = 1400  # what fits in one packet gains nothing
LARGEST_INLINE: Final = 128 * 1024  # above this compression would hold up other requests

Header = tuple[bytes, bytes]


def outcome(error: errors.ConsentryError) -> bytes:
    """The error as an OperationOutcome (FHIR R4 operationoutcome.html)."""
    issue = {"severity": "error", "code": error.code, "diagnostics": error.text}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}, separators=(",", ":")).encode()


def error_headers(error: errors.ConsentryError, sent: errors.Scheme = "Bearer") -> list[Header]:
    """What the status calls for: RFC 6750 section 3 for 401 and 403, or RFC 9449 section 7.1; RFC 9110
    section 10.2.1 for 405. `sent` is the scheme of the request's token."""
    if isinstance(error, errors.Unauthenticated):
        return [(b"www-authenticate", _challenge(error.scheme or sent, error.oauth_error))]
    if isinstance(error, errors.Forbidden):
        return [(b"www-authenticate", _challenge(sent, "insufficient_scope"))]
    if isinstance(error, errors.MethodNotAllowed):
        return [(b"allow", b"GET, HEAD, POST, OPTIONS")]
    return []


def _challenge(scheme: errors.Scheme, error: str | None) -> bytes:
    if error is None:
        return scheme.encode()
    algorithms = f', algs="{" ".join(dpop.ALGORITHMS)}"' if scheme == dpop.SCHEME else ""
    return f'{scheme} error="{error}"{algorithms}'.encode()


async def respond(
    send: Send,
    status: int,
    body: bytes,
    headers: Iterable[Header],
    *,
    media_type: bytes = FHIR_JSON,
    accept_encoding: bytes = b"",
    head: bool = False,
) -> None:
    """Sends one whole answer. A HEAD has the headers of its GET, its length among them."""
    sent = [*ALWAYS, *headers]
    if body or status not in (204, 304):
        sent.append((b"content-type", media_type))
    if len(body) >= SMALLEST_GZIP and _wants_gzip(accept_encoding):
        body = await _gzip(body)
        sent.append((b"content-encoding", b"gzip"))
    if status not in (204, 304):
        sent.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _gzip(body: bytes) -> bytes:
    if len(body) <= LARGEST_INLINE:
        return gzip.compress(body, 1, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, 1, mtime=0)


def _wants_gzip(accept_encoding: bytes) -> bool:
    """Whether gzip is named with a weight above zero (RFC 9110 section 12.5.3)."""
    for part in accept_encoding.lower().split(b","):
        name, _, weight = part.strip().partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
