"""What must hold of any request before its meaning is looked at: one host, one of each header, no tricks.

What stays true: a header that two servers could read differently is refused, and what this gateway
passes on are the headers in `READ`, single and decoded; nobody behind it sees another. Decisions use the
raw path of the request line, never an address rebuilt from headers (CVE-2026-48710).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Receive, Scope

from gateway import errors

VERSIONS: Final = ("1.1", "1.0")
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_TARGET_BYTES: Final = 8 * 1024
ONLY_ONCE: Final = frozenset(
    {b"host", b"content-type", b"content-length", b"content-encoding", b"if-modified-since"}
)
"""Several `Authorization` headers are no valid token rather than a bad request: `bearer_of` refuses them."""
READ: Final = {
    name.encode(): name
    for name in (
        "accept",
        "content-type",
        "content-length",
        "content-encoding",
        "if-none-match",
        "if-modified-since",
        "prefer",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
    )
}

Header = tuple[bytes, bytes]


@dataclass(slots=True)  # not frozen: each request makes one, and frozen ones take twice the time
class Guarded:
    """What a request whose outside is sound says. `headers` are those of `READ`, joined where they repeat;
    without `has_body` there is nothing to wait for (RFC 9112 section 6.3). `proof` is the DPoP header, which
    is no proof if it was sent several times."""

    headers: Mapping[str, str] = field(repr=False)
    authorization: Sequence[bytes] = field(repr=False)
    accept_encoding: bytes
    origin: bytes
    has_body: bool
    proof: bytes | None = field(repr=False)


def guard(scope: Scope, hosts: Collection[bytes]) -> Guarded:
    """
    Raises:
        BadRequest: another HTTP, a header twice, a body framed in two ways or unknown ones, or a target
            that is no path.
        MisdirectedRequest: the Host is not one this gateway answers for.
        HeadersTooLarge, UriTooLong.
    """
    if scope["http_version"] not in VERSIONS:
        raise errors.BadRequest("The request is in another version of HTTP.")
    headers: list[Header] = scope["headers"]
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise errors.HeadersTooLarge("The request's headers are too large.")
    path = scope["raw_path"]
    if len(path) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise errors.UriTooLong("The address is too long; send the search as a form.")
    if not path.startswith(b"/"):
        raise errors.BadRequest("The request line does not name a path.")
    found = dict(headers)
    if len(found) < len(headers):
        found = _joined(headers)
    if b"transfer-encoding" in found:
        _check_framing(found)
    if found.get(b"host", b"").lower() not in hosts:
        raise errors.MisdirectedRequest("This gateway does not answer for that host.")
    return Guarded(
        _read(found),
        [value for name, value in headers if name == b"authorization"],
        found.get(b"accept-encoding", b""),
        found.get(b"origin", b""),
        b"content-length" in found or b"transfer-encoding" in found,
        found.get(b"dpop"),
    )


def _joined(headers: Iterable[Header]) -> dict[bytes, bytes]:
    """Several fields of one name are one list (RFC 9110 section 5.3), if they may be there several times."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in found and name in ONLY_ONCE:
            raise errors.BadRequest(f"The header {name.decode()} is there more than once.")
        found[name] = found[name] + b", " + value if name in found else value
    return found


def _check_framing(found: Mapping[bytes, bytes]) -> None:
    if b"content-length" in found:
        raise errors.BadRequest("The request frames its body in two ways.")
    if found[b"transfer-encoding"].lower() != b"chunked":
        raise errors.BadRequest("The request's transfer coding is not understood.")


def _read(found: Mapping[bytes, bytes]) -> dict[str, str]:
    try:
        return {READ[name]: value.decode("ascii") for name, value in found.items() if name in READ}
    except UnicodeDecodeError as error:
        raise errors.BadRequest("A header holds characters that headers do not have.") from error


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body, within the cap.

    Raises:
        PayloadTooLarge: over `max_bytes`.
        BadRequest: the client went away before its end.
    """
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise errors.BadRequest("The request ended early.")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise errors.PayloadTooLarge("The request's body is too large.")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)
