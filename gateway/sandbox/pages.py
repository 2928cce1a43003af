"""Bundles of many resources: built by joining stored bytes, cut into pages of one snapshot.

A page link names the snapshot and an offset on the server root, as HAPI writes it, so it says
nothing of the type or the query. A snapshot shows what was there when it was taken.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gateway.errors import BadRequest, Gone
from gateway.sandbox.document import instant
from gateway.sandbox.message import Reply, Request, etag, links
from gateway.sandbox.store import Version

KEPT_SNAPSHOTS = 512
MAX_COUNT = 1000

Render = Callable[[Sequence[Version], str], list[bytes]]
"""Bundle entries for the versions of one page, given the base address."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The versions that a search or history found. `total` is None when it was not asked for."""

    token: str
    bundle_type: str
    self_path: str
    versions: tuple[Version, ...]
    taken: datetime
    count: int
    total: int | None
    render: Render


class Pages:
    """The latest snapshots by token; an older one is gone, and its page links with it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Snapshot] = OrderedDict()

    def find(self, token: str) -> Snapshot | None:
        snapshot = self._kept.get(token)
        if snapshot is not None:
            self._kept.move_to_end(token)
        return snapshot

    def keep(self, snapshot: Snapshot) -> Snapshot:
        self._kept[snapshot.token] = snapshot
        if len(self._kept) > KEPT_SNAPSHOTS:
            self._kept.popitem(last=False)
        return snapshot

    def follow(self, request: Request) -> Reply:
        """The page that a `next` link names. Raises Gone for a snapshot that is not kept any more."""
        query = dict(request.query)
        snapshot = self.find(query.get("_getpages", ""))
        if snapshot is None:
            raise Gone("That search is not known, or it has expired.")
        offset = whole_number(query.get("_getpagesoffset", "0"), "_getpagesoffset")
        return page(snapshot, request.base, offset, count_of(query.get("_count"), snapshot.count))


def token(*parts: object) -> str:
    """The same parts give the same token, in the shape of a UUID."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def page(snapshot: Snapshot, base: str, offset: int = 0, count: int | None = None) -> Reply:
    count = snapshot.count if count is None else count
    named = (
        [("self", f"{base}/{snapshot.self_path}")]
        if offset == 0
        else [("self", _link(snapshot, base, offset, count))]
    )
    if count and offset + count < len(snapshot.versions):
        named.append(("next", _link(snapshot, base, offset + count, count)))
    if count and offset:
        named.append(("previous", _link(snapshot, base, max(0, offset - count), count)))
    entries = snapshot.render(snapshot.versions[offset : offset + count], base)
    return Reply(200, _bundle(snapshot, links(named), entries))


def history_entries(versions: Sequence[Version], base: str) -> list[bytes]:
    """Entries of a history Bundle: the request that made each version, and no resource for a deletion."""
    return [_history_entry(version, base) for version in versions]


def count_of(text: str | None, default: int) -> int:
    return default if text is None else min(whole_number(text, "_count"), MAX_COUNT)


def whole_number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"{name} is a whole number.")
    return int(text)


def _bundle(snapshot: Snapshot, link: bytes, entries: list[bytes]) -> bytes:
    total = b"" if snapshot.total is None else b'"total":%d,' % snapshot.total
    body = b',"entry":[' + b",".join(entries) + b"]" if entries else b""
    return b'{"resourceType":"Bundle","id":"%b","meta":{"lastUpdated":"%b"},"type":"%b",%b"link":' % (
        snapshot.token.encode(),
        instant(snapshot.taken).encode(),
        snapshot.bundle_type.encode(),
        total,
    ) + b"".join((link, body, b"}"))


def _link(snapshot: Snapshot, base: str, offset: int, count: int) -> str:
    place = f"_getpages={snapshot.token}&_getpagesoffset={offset}&_count={count}"
    return f"{base}?{place}&_bundletype={snapshot.bundle_type}"


def _history_entry(version: Version, base: str) -> bytes:
    made = version.method == "POST"
    status = "201 Created" if version.number == 1 else "200 OK"
    entry: dict[str, object] = {"fullUrl": f"{base}/{version.path}"}
    if version.body is not None:
        entry["resource"] = msgspec.Raw(version.body)
    entry["request"] = {"method": version.method, "url": version.type if made else version.path}
    entry["response"] = {
        "status": status,
        "etag": etag(version),
        "lastModified": instant(version.updated),
    }
    return msgspec.json.encode(entry)
