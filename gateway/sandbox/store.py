"""What the sandbox holds: every version of every resource, in memory, newest current.

Belongs to one event loop; no call waits, so each is atomic. A version is never changed. Writes since
a mark can be taken back, which is how a transaction stays all or nothing. It judges no access.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.errors import Gone, NotFound
from gateway.sandbox.document import Document, Tree, instant, references, stamp

Method = Literal["POST", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one instance. A deletion has no `body`. `serial` orders instances by creation."""

    type: str
    id: str
    number: int
    updated: datetime
    method: Method
    serial: int
    body: bytes | None
    tree: Tree
    references: frozenset[str]

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.id

    @property
    def path(self) -> str:
        return f"{self.type}/{self.id}"


class Store:
    """`revision` grows with every change, so what was computed at one revision is known to be fresh."""

    def __init__(self) -> None:
        self.revision = 0
        self._log: list[Version] = []
        self._versions: dict[tuple[str, str], list[Version]] = {}
        self._current: dict[str, dict[str, Version]] = {}
        self._referring: dict[tuple[str, str], dict[str, Version]] = {}
        self._last_id = 0

    def new_id(self, type: str) -> str:
        """A server-made id that no instance of the type has had."""
        while True:
            self._last_id += 1
            if (type, str(self._last_id)) not in self._versions:
                return str(self._last_id)

    def put(self, document: Document, id: str, method: Method, now: datetime) -> Version:
        """Store the next version of `Type/id`; the first one creates it."""
        earlier = self._versions.get((document.type, id), [])
        number = len(earlier) + 1
        serial = earlier[0].serial if earlier else self.revision + 1
        body = stamp(document, id, number, now)
        tree = document.tree | {
            "id": id,
            "meta": document.tree.get("meta", {}) | _owned_meta(number, now),
        }
        return self._append(
            Version(document.type, id, number, now, method, serial, body, tree, references(body))
        )

    def delete(self, type: str, id: str, now: datetime) -> Version | None:
        """The deletion that is now current; None if there never was such an instance."""
        earlier = self._versions.get((type, id))
        if not earlier or earlier[-1].body is None:
            return earlier[-1] if earlier else None
        last = earlier[-1]
        return self._append(
            Version(type, id, last.number + 1, now, "DELETE", last.serial, None, {}, frozenset())
        )

    def current(self, type: str, id: str) -> Version | None:
        return self._current.get(type, {}).get(id)

    def read(self, type: str, id: str, number: str | None = None) -> Version:
        """One live version, the current one by default. Raises NotFound, or Gone when it is a deletion."""
        versions = self._versions.get((type, id), [])
        wanted = versions[-1:] if number is None else [v for v in versions if str(v.number) == number]
        if not wanted:
            raise NotFound(f"Resource {type}/{id} is not known")
        if wanted[0].body is None:
            raise Gone(f"Resource {type}/{id} was deleted")
        return wanted[0]

    def all(self, type: str) -> Iterable[Version]:
        return self._current.get(type, {}).values()

    def types(self) -> Iterable[str]:
        return [type for type, live in self._current.items() if live]

    def referring(self, type: str, target: str, base: str) -> list[Version]:
        """The current resources of a type that refer to `target` (`Type/id`), as such or below `base`."""
        near, far = (self._referring.get((type, text), {}) for text in (target, f"{base}/{target}"))
        return [*near.values(), *far.values()]

    def history(self, type: str | None = None, id: str | None = None) -> Iterator[Version]:
        """Versions, newest first, deletions included: of all, of a type, or of an instance."""
        versions = self._log if type is None or id is None else self._versions.get((type, id), [])
        return (v for v in reversed(versions) if type in (None, v.type))

    def mark(self) -> int:
        return len(self._log)

    def rollback(self, mark: int) -> None:
        """Take back every write since `mark`."""
        while len(self._log) > mark:
            undone = self._log.pop()
            versions = self._versions[undone.key]
            versions.pop()
            if not versions:
                del self._versions[undone.key]
            self._make_current(undone, versions[-1] if versions else None)

    def _append(self, version: Version) -> Version:
        versions = self._versions.setdefault(version.key, [])
        previous = versions[-1] if versions else None
        versions.append(version)
        self._log.append(version)
        self._make_current(previous, version)
        return version

    def _make_current(self, old: Version | None, new: Version | None) -> None:
        """Move the indexes from one version of an instance to another; None stands for no instance."""
        self.revision += 1
        if old:
            for target in old.references - (new.references if new else frozenset()):
                del self._referring[old.type, target][old.id]
            if new is None or new.body is None:
                self._current[old.type].pop(old.id, None)
        if new and new.body is not None:
            self._current.setdefault(new.type, {})[new.id] = new
            for target in new.references:
                self._referring.setdefault((new.type, target), {})[new.id] = new


def _owned_meta(number: int, now: datetime) -> Tree:
    return {"versionId": str(number), "lastUpdated": instant(now)}
