"""A small ledger to test with: keys, entries, one clock, and a check of everything."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.core.tlog.disclosure import derive_keys
from gateway.core.tlog.entry import build_entry
from gateway.core.tlog.tree import leaf_hash
from gateway.ledger.keys import KeyRing
from gateway.ledger.reading import LedgerView, Receipt
from gateway.ledger.recorder import LedgerReader, Recorder
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.store import SealedEntry
from gateway.ledger.vault import Vault
from gateway.ledger.verify import PublicKeys, Verified, verify_store

ORIGIN = "hospital.example/consentry"


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class House:
    """One ledger's files, and what works on them."""

    path: Path
    keys: KeyRing
    vault: Vault
    recorder: Recorder

    def read(
        self, patient: str | None = "pat-a", kind: str = "read.permit", *, late_s: int = 0
    ) -> SealedEntry:
        return self.recorder.seal(kind, {"cli": "app-1"}, patient, clock_ms() - 1000 * late_s)

    def reader(self, view: LedgerView) -> LedgerReader:
        return LedgerReader(view.reader, self.vault)

    @property
    def public(self) -> PublicKeys:
        return PublicKeys(self.keys.log.verifier, (self.keys.gateway.verifier,))


def opaque(at_s: int | None = None, *, kind: str = "read.permit", nonce: bytes | None = None) -> SealedEntry:
    """An entry whose leaf means nothing, for tests of the store and the sequencer."""
    leaf = secrets.token_bytes(64)
    return SealedEntry(
        nonce=nonce or secrets.token_bytes(16),
        leaf=leaf,
        leaf_hash=leaf_hash(leaf),
        kind=kind,
        at_s=clock_ms() // 1000 if at_s is None else at_s,
        key_id=bytes(16),
        sidecar=b"sidecar",
    )


def check_everything(house: House, acknowledged: list[Receipt]) -> Verified:
    """Checkpoint, tiles, leaves, columns and head agree, and every receipt is kept."""
    reader = SqliteReader(house.path)
    try:
        verified = verify_store(reader, house.public)
        for receipt in acknowledged:
            stored = reader.entry(receipt.index)
            assert stored is not None
            assert leaf_hash(stored.leaf) == receipt.leaf_hash
        assert len({receipt.index for receipt in acknowledged}) == len(acknowledged)
        return verified
    finally:
        reader.close()


_ANY_KEYS = derive_keys(bytes(32))


def sealed(kind: str = "read.permit") -> SealedEntry:
    """A well-formed entry by a gateway nobody knows, made fast; its sidecar cannot be opened."""
    nonce, at_s = secrets.token_bytes(16), clock_ms() // 1000
    built = build_entry(kind, at_s, nonce, _ANY_KEYS, {}, "00000000", lambda _: bytes(64))
    return SealedEntry(nonce, built.leaf, built.leaf_hash, kind, at_s, bytes(16), b"sidecar")
