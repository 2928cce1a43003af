"""A ledger in memory: entries in order, leaf hashes over their content, facts as JSON would keep them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from gateway.consents.entries import ERASE, Erased, Erasure
from gateway.consents.follow import Followed
from gateway.consents.registry import Registry
from gateway.consents.scope import scope_parser
from gateway.core.canon import Json, canonical
from gateway.errors import LedgerUnavailable

TYPES = frozenset({"Observation", "Condition", "Patient"})
parse_scope = scope_parser(TYPES, lambda _kind, term: term.name in ("category", "code"))


@dataclass(frozen=True)
class Entry:
    index: int
    kind: str
    at_s: int
    leaf_hash: bytes
    facts: Mapping[str, Json]
    attachments: Mapping[str, str]


@dataclass(frozen=True)
class Receipt:
    index: int
    leaf_hash: bytes


class Ledger:
    """Takes entries and hands them to its registry, as the follower of a real ledger does."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.registry = Registry(parse_scope)
        self.fails = False
        self.gap = 0
        self._erased: set[int] = set()

    async def record(
        self, kind: str, facts: Mapping[str, Json], patient: str, attachments: Mapping[str, str]
    ) -> Receipt:
        if self.fails:
            raise LedgerUnavailable
        entry = self.entry(kind, {**facts, "pat": f"Patient/{patient}"}, attachments)
        self.entries.append(entry)
        self.registry.apply(entry)
        return Receipt(entry.index, entry.leaf_hash)

    def entry(self, kind: str, facts: Mapping[str, Json], attachments: Mapping[str, str]) -> Entry:
        """The entry that would come next, not yet appended. Other entries lie between, as many as `gap`."""
        index = (self.entries[-1].index + 1 if self.entries else 0) + self.gap
        kept: dict[str, Json] = json.loads(canonical(dict(facts)))
        leaf_hash = sha256(canonical([index, kind, kept])).digest()
        return Entry(index, kind, 1_780_000_000 + index, leaf_hash, kept, dict(attachments))

    def destroy(self, patient: str) -> None:
        """End the patient's key: what is under it can no longer be opened. Later entries get a new one."""
        self._erased |= {e.index for e in self.entries if e.facts.get("pat") == f"Patient/{patient}"}

    def erase(self, patient: str) -> None:
        """End the key and say so in an entry, which the registry does not follow yet."""
        self.destroy(patient)
        self.entries.append(self.entry(ERASE, {}, {}))

    def after(self, index: int) -> Iterator[Followed]:
        """The entries after an index, as far as they can be opened."""
        for entry in self.entries:
            if entry.index > index and entry.kind == ERASE:
                yield Erasure(entry.index)
            elif entry.index > index:
                yield Erased(entry.index, entry.leaf_hash) if entry.index in self._erased else entry

    def replayed(self) -> Registry:
        """A registry made from the entries alone."""
        registry = Registry(parse_scope)
        for entry in self.after(-1):
            if isinstance(entry, Erased | Erasure):
                registry.skip(entry)
            else:
                registry.apply(entry)
        return registry
