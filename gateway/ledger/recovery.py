"""What must hold before a ledger is written to: its parts agree, and it has not been rolled back.

A start reads little: the head, the right edge with its leaves, and the last checkpoints, one of which
lies outside the database. Everything else is for `verify`, which reads it all. A finding stops the
start; nothing is repaired here, because what does not fit may be evidence.
"""

from __future__ import annotations

from pathlib import Path

from gateway.core.tlog.checkpoint import Checkpoint, open_checkpoint
from gateway.core.tlog.note import VerifierKey
from gateway.core.tlog.tiles import TILE_WIDTH, split_hashes
from gateway.core.tlog.tree import leaf_hash
from gateway.errors import ConfigError, VerificationFailed
from gateway.ledger.edge import RightEdge
from gateway.ledger.publisher import Published
from gateway.ledger.signing import verify_ed25519
from gateway.ledger.store import Head, StoreReader

_RESTORE = "Restore the newest copy of the ledger (a node has one); do not go on with an older one."


def check_start(reader: StoreReader, log_key: VerifierKey, outside: Path) -> Published:
    """The last published checkpoint of a ledger that may go on.

    Raises VerificationFailed naming what differs: the right edge, a checkpoint, or a rollback.
    """
    head = reader.head()
    _check_right_edge(reader, head)
    kept = _read_outside(outside)
    row = reader.checkpoint()
    if row is None:
        raise VerificationFailed(f"The database has no checkpoint, the key folder has one. {_RESTORE}")
    outside_head, last = (open_checkpoint(note, [log_key], verify_ed25519)[0] for note in (kept, row))
    _check_checkpoint(reader, head, outside_head)
    _check_checkpoint(reader, head, last)
    if last.size < outside_head.size:
        raise VerificationFailed(
            f"The database lacks the published checkpoint of {outside_head.size} entries."
        )
    return Published(last.size, row)


def _check_right_edge(reader: StoreReader, head: Head) -> None:
    edge = _edge(reader, head.size)
    if (edge.root(), edge.hashes) != (head.root, head.hashes):
        raise VerificationFailed("The tiles at the right edge do not lead to the head of the ledger.")
    number = max(0, head.size - 1) // TILE_WIDTH
    first = number * TILE_WIDTH
    leaves = reader.leaves(first, head.size + 1)
    hashes = split_hashes(reader.tile(0, number) or b"")
    if len(leaves) != head.size - first or len(hashes) != len(leaves):
        raise VerificationFailed(
            f"The ledger has entries up to {first + len(leaves)}, its head says {head.size}."
        )
    for index, (leaf, expected) in enumerate(zip(leaves, hashes, strict=True), first):
        if leaf_hash(leaf) != expected:
            raise VerificationFailed(f"entry {index}: its bytes were changed.")


def _check_checkpoint(reader: StoreReader, head: Head, seen: Checkpoint) -> None:
    if seen.size > head.size:
        raise VerificationFailed(
            f"The ledger was rolled back: it has {head.size} entries, and a head of {seen.size} "
            f"was published. {_RESTORE}"
        )
    if _edge(reader, seen.size).root() != seen.root:
        raise VerificationFailed(
            f"The ledger was rewritten: its first {seen.size} entries are not those of the head "
            f"that was published. {_RESTORE}"
        )


def _edge(reader: StoreReader, size: int) -> RightEdge:
    try:
        return RightEdge.from_tiles(size, reader.tile)
    except ValueError as cut:
        raise VerificationFailed(f"The ledger is damaged: {cut}.") from cut


def _read_outside(outside: Path) -> bytes:
    try:
        return outside.read_bytes()
    except FileNotFoundError as missing:
        raise VerificationFailed(
            f"{outside} is missing: without the last published checkpoint a rollback could not be seen. "
            "Put it back from a node, a witness or a backup of the key folder."
        ) from missing
    except OSError as unreadable:
        raise ConfigError(f"{outside} cannot be read: {unreadable.strerror}.") from unreadable
