"""One request and one reply of the sandbox, free of any web framework.

The same pair serves a call over HTTP and an entry of a batch or transaction. `base` is the address
the client used, without a trailing slash; every link is built on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

import msgspec

from gateway.errors import BadRequest, ConsentryError
from gateway.sandbox.store import Version

FHIR_JSON = "application/fhir+json"
Pairs = tuple[tuple[str, str], ...]


class Conflict(ConsentryError):
    """The version, or the number of matches, is not what the client made its write depend on."""

    status, code = 412, "conflict"


@dataclass(frozen=True, slots=True)
class Request:
    """`path` are the decoded segments below the base; `headers` have lower-case names.

    `new_id` is the id a transaction has already promised to the references between its entries.
    """

    method: str
    path: tuple[str, ...]
    query: Pairs
    headers: Mapping[str, str]
    body: bytes
    base: str
    new_id: str | None = None

    @property
    def strict(self) -> bool:
        return "handling=strict" in self.prefer

    @property
    def prefer(self) -> tuple[str, ...]:
        return tuple(p.strip() for p in self.headers.get("prefer", "").replace(";", ",").split(","))

    def to(self, method: str, url: str, **changes: object) -> Request:
        """A request of the same client for a relative URL, as the entries of a Bundle hold them."""
        path, _, query = url.removeprefix(self.base).partition("?")
        segments = tuple(unquote(s) for s in path.split("/") if s)
        return replace(self, method=method, path=segments, query=pairs(query), **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: str = FHIR_JSON + ";charset=UTF-8"
    version: Version | None = field(default=None, repr=False)

    def header(self, name: bytes) -> str | None:
        return next((v.decode() for n, v in self.headers if n == name), None)

    @property
    def status_line(self) -> str:
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def pairs(query: str) -> Pairs:
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=1000))
    except ValueError as error:
        raise BadRequest("The query is not valid.") from error


def etag(version: Version) -> str:
    return f'W/"{version.number}"'


def versioned(status: int, version: Version, base: str, body: bytes | None = None) -> Reply:
    """A reply about one version; `Location` goes with writes, `Content-Location` with reads (http.html)."""
    place = f"{base}/{version.path}/_history/{version.number}"
    name = b"content-location" if status == 200 and body is None else b"location"
    headers = (
        (b"etag", etag(version).encode()),
        (b"last-modified", format_datetime(version.updated.astimezone(UTC), usegmt=True).encode()),
        (name, place.encode()),
    )
    return Reply(status, version.body or b"" if body is None else body, headers, version=version)


def outcome(status: int, code: str, text: str, severity: str = "error") -> Reply:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    tree = {"resourceType": "OperationOutcome", "issue": [issue]}
    return Reply(status, msgspec.json.encode(tree))


def failed(error: ConsentryError) -> Reply:
    return outcome(error.status, error.code, error.text)


def links(named: Iterable[tuple[str, str]]) -> bytes:
    return msgspec.json.encode([{"relation": relation, "url": url} for relation, url in named])
