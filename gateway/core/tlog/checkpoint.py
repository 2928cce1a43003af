"""A checkpoint: the origin, size and root of a log, as three lines (c2sp.org/tlog-checkpoint).

    example.com/consent-ledger
    8
    XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=

Exactly these lines and this spelling. Extension lines are refused: some verifiers leave them out of
what they cosign, so they would look signed without being so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.canon import b64, unb64
from gateway.core.tlog.note import Algorithm, SignedNote, VerifierKey, Verify, check_name, open_note
from gateway.core.tlog.tree import HASH_BYTES, MAX_SIZE
from gateway.errors import VerificationFailed

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`origin` names the log and is the name of its key; `size` counts entries; `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        check_name(self.origin)
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError("a log size is between 0 and 2^63 - 1")
        if len(self.root) != HASH_BYTES:
            raise ValueError("a root has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint body; ValueError unless `text()` would give it back."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise ValueError("a checkpoint has three lines")
        return cls(lines[0], parse_decimal(lines[1]), unb64(lines[2]))

    def text(self) -> str:
        """The bytes that are signed, as text."""
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n"


def open_checkpoint(
    data: bytes, keys: Iterable[VerifierKey], verify: Verify
) -> tuple[Checkpoint, SignedNote]:
    """The checkpoint in a signed note, and the note with the signatures of `keys` (log and witnesses).

    Raises VerificationFailed unless the log itself signed: a key of type 0x01 whose name is the
    origin, so that one log's head never passes for another's.
    """
    known = tuple(keys)
    note = open_note(data, known, verify)
    try:
        checkpoint = Checkpoint.parse(note.text)
    except ValueError as error:
        raise VerificationFailed("checkpoint: malformed") from error
    log_keys = {k.key_id for k in known if k.name == checkpoint.origin and k.algorithm == Algorithm.ED25519}
    if not any(s.name == checkpoint.origin and s.key_id in log_keys for s in note.signatures):
        raise VerificationFailed("checkpoint: not signed by a known key of its own log")
    return checkpoint, note


def parse_decimal(text: str) -> int:
    """A size or index in ASCII digits without leading zeros; ValueError for any other spelling."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number in its one spelling")
    return int(text)
