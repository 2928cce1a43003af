"""A ledger in memory: entries in order, leaf hashes over their content, facts as JSON would keep them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

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

    def replayed(self) -> Registry:
        """A registry made from the entries alone."""
        registry = Registry(parse_scope)
        for entry in self.entries:
            registry.apply(entry)
        return registry
