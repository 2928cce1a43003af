"""What must hold before a ledger is written to: its parts agree, and it has not been rolled back.

A start derives the head anew from all leaves, and holds to them what a replay goes by (`integrity`): 3 s
for a million entries. It holds that head to the last checkpoints, one of which lies outside the database.
Signatures of entries, upper tiles, older checkpoints and the sidecars of reads are for `verify`. A finding
stops the start; nothing is repaired here, because what does not fit may be evidence.
"""

from __future__ import annotations

from pathlib import Path

from gateway.core.tlog.checkpoint import Checkpoint, open_checkpoint
from gateway.core.tlog.note import VerifierKey
from gateway.errors import ConfigError, VerificationFailed
from gateway.ledger.edge import RightEdge
from gateway.ledger.integrity import check_rows, check_schema, check_tree
from gateway.ledger.publisher import Published
from gateway.ledger.signing import verify_ed25519
from gateway.ledger.store import Head, StoreReader

_RESTORE = "Restore the newest copy of the ledger (a node has one); do not go on with an older one."
_PUT_BACK = "Put it back from a node, a witness or a backup of the key folder."


def check_start(reader: StoreReader, log_key: VerifierKey, outside: Path) -> Published:
    """The last published checkpoint of a ledger that may go on.

    Raises VerificationFailed naming what differs: the schema, an entry, a tile, the head, a checkpoint,
    or a rollback.
    """
    check_schema(reader)
    head = reader.head()
    check_tree(reader, head)
    check_rows(reader)
    _check_right_edge(reader, head)
    kept = _read_outside(outside)
    row = reader.checkpoint()
    if row is None:
        raise VerificationFailed(f"The database has no checkpoint, the key folder has one. {_RESTORE}")
    outside_head = _opened(kept, log_key, str(outside), _PUT_BACK)
    last = _opened(row, log_key, "The last checkpoint of the database", _RESTORE)
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


def _opened(note: bytes, log_key: VerifierKey, name: str, remedy: str) -> Checkpoint:
    try:
        return open_checkpoint(note, [log_key], verify_ed25519)[0]
    except VerificationFailed as wrong:
        raise VerificationFailed(f"{name} does not hold: {wrong.text}. {remedy}") from wrong


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
            f"{_PUT_BACK}"
        ) from missing
    except OSError as unreadable:
        raise ConfigError(f"{outside} cannot be read: {unreadable.strerror}.") from unreadable
