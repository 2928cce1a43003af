"""A receipt: proof that one entry is in the log, checked offline (c2sp.org/tlog-proof).

    c2sp.org/tlog-proof@v1
    index 5
    vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=      sibling of the leaf first

    example.com/consent-ledger                          the signed checkpoint, verbatim

It holds neither the entry nor its facts. `extra` is not authenticated by anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.canon import b64, unb64
from gateway.core.tlog.checkpoint import Checkpoint, open_checkpoint, parse_decimal
from gateway.core.tlog.note import SignedNote, VerifierKey, Verify
from gateway.core.tlog.proof import verify_inclusion
from gateway.core.tlog.tree import HASH_BYTES, MAX_SIZE

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """`index` counts from 0; `hashes` are the inclusion proof; `checkpoint` is the signed note's bytes."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE or len(self.hashes) > _MAX_HASHES:
            raise ValueError("a proof has an index and at most 63 hashes")
        if any(len(hash_) != HASH_BYTES for hash_ in self.hashes):
            raise ValueError("a hash has 32 bytes")
        Checkpoint.parse(SignedNote.parse(self.checkpoint).text)

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Read a receipt without judging it; ValueError unless `encode` would give back the same bytes."""
        head, separator, checkpoint = data.partition(b"\n\n")
        lines = head.decode().split("\n")
        if not separator or lines.pop(0) != _HEADER:
            raise ValueError("not a tlog-proof")
        extra = unb64(lines.pop(0).removeprefix("extra ")) if _next_is(lines, "extra ") else None
        if not _next_is(lines, "index "):
            raise ValueError("a tlog-proof names an index")
        index = parse_decimal(lines.pop(0).removeprefix("index "))
        return cls(index, tuple(unb64(line) for line in lines), checkpoint, extra)

    def encode(self) -> bytes:
        extra = "" if self.extra is None else f"extra {b64(self.extra)}\n"
        hashes = "".join(f"{b64(hash_)}\n" for hash_ in self.hashes)
        return f"{_HEADER}\n{extra}index {self.index}\n{hashes}\n".encode() + self.checkpoint

    def verify(
        self, leaf: bytes, keys: Iterable[VerifierKey], verify: Verify
    ) -> tuple[Checkpoint, SignedNote]:
        """The head that covers the entry with leaf hash `leaf`, and its note with the lines of `keys`.

        Raises VerificationFailed unless the log signed the head and the proof leads from `leaf` to
        its root. How many witnesses must be among the lines is for the caller to say.
        """
        checkpoint, note = open_checkpoint(self.checkpoint, keys, verify)
        verify_inclusion(self.index, checkpoint.size, leaf, self.hashes, checkpoint.root)
        return checkpoint, note


def _next_is(lines: list[str], prefix: str) -> bool:
    return bool(lines) and lines[0].startswith(prefix)
