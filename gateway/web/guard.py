"""What must hold of any request before its meaning is looked at: one host, one of each header, no tricks.

What stays true: a header that two servers could read differently is refused, and what this gateway
passes on are the headers in `READ`, single and decoded; nobody behind it sees another. Decisions use the
raw path of the request line, never an address rebuilt from headers (CVE-2026-48710).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
READ: Final = frozenset(
    {
        b"accept",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"if-none-match",
        b"if-modified-since",
        b"prefer",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
    }
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A request whose outside is sound. `headers` are those of `READ`, joined where they repeat."""

    method: str
    path: bytes
    query: bytes
    headers: Mapping[str, str] = field(repr=False)
    authorization: Sequence[bytes] = field(repr=False)


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
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise errors.HeadersTooLarge("The request's headers are too large.")
    path, query = scope["raw_path"], scope["query_string"]
    if len(path) + len(query) > MAX_TARGET_BYTES:
        raise errors.UriTooLong("The address is too long; send the search as a form.")
    if not path.startswith(b"/"):
        raise errors.BadRequest("The request line does not name a path.")
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    for name in ONLY_ONCE & found.keys():
        if len(found[name]) > 1:
            raise errors.BadRequest(f"The header {name.decode()} is there more than once.")
    codings = found.get(b"transfer-encoding", [])
    if codings and b"content-length" in found:
        raise errors.BadRequest("The request frames its body in two ways.")
    if codings and [coding.lower() for coding in codings] != [b"chunked"]:
        raise errors.BadRequest("The request's transfer coding is not understood.")
    if found.get(b"host", [b""])[0].lower() not in hosts:
        raise errors.MisdirectedRequest("This gateway does not answer for that host.")
    return Guarded(
        scope["method"],
        path,
        query,
        {name.decode(): _text(found[name]) for name in READ & found.keys()},
        found.get(b"authorization", []),
    )


def _text(values: list[bytes]) -> str:
    try:
        return b", ".join(values).decode("ascii")
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
