"""What the ledger asks of a database, and the values it hands over.

What everything above relies on: when `Appender.append` or `Appender.publish` returns, what it was
given is durable (on the quorum, where there is one). When one raises, it may or may not be, and only
the same call with the same nonces can tell. Leaves are opaque here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import LedgerUnavailable

# Kinds that change what may be read, or who is who: indexed, so that a start replays them at once.
STATE_KINDS = frozenset(
    {
        "consent.grant", "consent.change", "consent.revoke", "token.issue", "token.revoke",
        "bg.open", "bg.review", "erase", "key.rotate",
    }
)  # fmt: skip
# Kinds after which a decision must look again: `Head.mark` moves with them.
MARK_KINDS = STATE_KINDS - {"token.issue", "bg.review", "key.rotate"}


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry ready to append: the leaf, what the store must know of it, and its encrypted sidecar.

    `nonce` (16 bytes) makes a retry safe: send the same SealedEntry again and it keeps its index.
    `at_s` is the time under the entry's signature, in seconds since the epoch.
    """

    nonce: bytes
    leaf: bytes
    leaf_hash: bytes
    kind: str
    at_s: int
    key_id: bytes
    sidecar: bytes

    def __post_init__(self) -> None:
        if len(self.nonce) != 16 or len(self.leaf_hash) != 32 or not 0 < len(self.leaf) <= 0xFFFF:
            raise ValueError("a nonce has 16 bytes, a leaf hash 32, a leaf 1 to 65535")


Batch = Sequence[SealedEntry]


@dataclass(frozen=True, slots=True)
class Head:
    """The committed state: `hashes` is the frontier (one hash per set bit of `size`), `mark` the
    number of entries up to and with the latest of MARK_KINDS (0: none)."""

    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    mark: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    index: int
    kind: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class StoredSidecar:
    key_id: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Rows:
    """What all rows from index `start` on say, read in one committed state and by no index.

    `count` of them, the last at `last` (-1: none). `misnamed` is the first whose kind is not the one in
    its leaf. `state` has those of STATE_KINDS as (index, kind), `indexed` what the index of them names.
    """

    head: Head
    start: int
    count: int
    last: int
    misnamed: int | None
    state: list[tuple[int, str]]
    indexed: list[int]


class StoreReader(Protocol):
    """Reading what is committed, from any process. Raises LedgerUnavailable if the store cannot be read."""

    def head(self) -> Head: ...

    def mark(self) -> int: ...

    def tile(self, level: int, number: int) -> bytes | None: ...

    def leaves(self, start: int, stop: int) -> list[bytes]: ...

    def columns(self, start: int, stop: int) -> list[tuple[str, int, bytes, bool]]:
        """(kind, at_s, nonce, whether there is a sidecar) of the entries start..stop-1, in order."""
        ...

    def entry(self, index: int) -> StoredEntry | None: ...

    def entries_of(self, kinds: frozenset[str], after: int) -> Iterator[StoredEntry]: ...

    def sidecar(self, index: int) -> StoredSidecar | None: ...

    def sidecars(self, start: int, stop: int) -> list[StoredSidecar | None]:
        """As `sidecar`, for the entries start..stop-1."""
        ...

    def checkpoint(self) -> bytes | None: ...

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """(size, note) of every checkpoint that was published, smallest first."""
        ...

    def rows(self, start: int) -> Rows: ...

    def foreign_part(self) -> str | None:
        """What the database has beside a ledger's tables, or lacks of them; None if it is as it was made."""
        ...

    def damage(self) -> str | None:
        """What is wrong by the database's own check of its pages; None if nothing is. Reads all of it."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit came to: one outcome for each batch, and the head that holds it."""

    outcomes: list[list[int] | EntryRefused]
    head: Head


class EntryRefused(LedgerUnavailable):
    """An entry that may not be appended: its clock is off, or its nonce belongs to another entry."""


class Appender(Protocol):
    """The one writer. Used by one thread, which need not be the one that opened it."""

    def head(self) -> Head:
        """What is committed; read anew after a call that raised."""
        ...

    def append(self, batches: Sequence[Batch], now_s: int) -> Committed:
        """For each batch the index of each entry, old ones for nonces that are present already.

        A batch is appended whole, its entries in order and side by side, or refused whole. Durable
        on return. Any exception leaves the outcome unknown.
        """
        ...

    def publish(self, size: int, note: bytes) -> None:
        """Keep the signed checkpoint `note` of the head of `size`; durable on return."""
        ...

    def idle(self) -> None:
        """Housekeeping, while nobody waits."""
        ...

    def close(self) -> None: ...
