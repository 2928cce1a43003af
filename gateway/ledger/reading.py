"""What every holder of a ledger can read from it, writer or not: head, tiles, proofs, entries.

Served are committed bytes only, under the paths of c2sp.org/tlog-tiles. Nothing here opens a sidecar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.canon import b64url, unb64url
from gateway.core.tlog.checkpoint import Checkpoint, parse_decimal
from gateway.core.tlog.note import SignedNote
from gateway.core.tlog.proof import prove_inclusion
from gateway.core.tlog.receipt import TlogProof
from gateway.core.tlog.tiles import TILE_WIDTH, TilePath, encode_bundle, hash_reader, partial_width
from gateway.core.tlog.tree import HASH_BYTES
from gateway.errors import LedgerUnavailable, NotFound
from gateway.ledger.integrity import check_rows, held_to_tiles
from gateway.ledger.store import Head, StoredEntry, StoreReader

# A checkpoint follows an entry within a second; another process may publish it, so it is looked for.
_LOOK_AGAIN_S = 0.05
_LOOKS = 100


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a durable entry is. As text it is the value of the `Ledger-Entry` header."""

    origin: str
    index: int
    leaf_hash: bytes

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Read the header; ValueError unless `str` would give it back."""
        parts = text.split(";")
        if len(parts) != 3:
            raise ValueError("a receipt is origin, index and leaf hash, separated by semicolons")
        receipt = cls(parts[0], parse_decimal(parts[1]), unb64url(parts[2]))
        if len(receipt.leaf_hash) != HASH_BYTES:
            raise ValueError("a leaf hash has 32 bytes")
        return receipt

    def __str__(self) -> str:
        return f"{self.origin};{self.index};{b64url(self.leaf_hash)}"


class LedgerView:
    """The reading half of a ledger. Raises LedgerUnavailable when the store cannot be read."""

    def __init__(self, origin: str, reader: StoreReader) -> None:
        self.origin = origin
        self.reader = reader
        self._checked = 0  # rows below this index were held to their leaves

    def head(self) -> Head:
        """The committed head, which may be newer than the last checkpoint."""
        return self.reader.head()

    def consent_mark(self) -> int:
        """A number that grows with every committed entry that may change a decision, by any process."""
        return self.reader.mark()

    def checkpoint(self) -> bytes:
        """The last published checkpoint, a signed note."""
        note = self.reader.checkpoint()
        if note is None:
            raise LedgerUnavailable("The ledger has no published checkpoint.")
        return note

    def tile(self, path: str) -> bytes | None:
        """The body at `tile/...`, of any width up to the committed one; None if there is none."""
        try:
            wanted = TilePath.parse(path)
        except ValueError:
            return None
        if wanted.hashes > partial_width(self.head().size, wanted.level, wanted.index):
            return None
        return read_body(self.reader, wanted)

    def entries_of(self, kinds: frozenset[str], after: int) -> Iterator[StoredEntry]:
        """Entries of `kinds` with an index above `after` (-1: all), oldest first.

        Every row that came since the last call is looked at before, so that no damage beside the leaves
        hides one. Raises VerificationFailed naming it.
        """
        self._checked = check_rows(self.reader, self._checked).head.size
        return held_to_tiles(self.reader, self.reader.entries_of(kinds, after))

    async def proof(self, index: int) -> bytes:
        """The C2SP tlog-proof of the entry, against the first published checkpoint that covers it.

        Raises NotFound if there is no such entry, LedgerUnavailable if no checkpoint comes to cover it.
        """
        if not 0 <= index < self.head().size:
            raise NotFound("There is no such ledger entry.")
        note = await self._covering(index)
        size = published_size(note)
        hashes = prove_inclusion(index, size, hash_reader(size, self._body))
        return TlogProof(index, hashes, note).encode()

    async def _covering(self, index: int) -> bytes:
        for _ in range(_LOOKS):
            note = self.checkpoint()
            if published_size(note) > index:
                return note
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise LedgerUnavailable("No checkpoint covers this entry yet.")

    def _body(self, path: TilePath) -> bytes:
        body = read_body(self.reader, path)
        if body is None:
            raise LedgerUnavailable(f"The ledger lacks {path}.")
        return body

    def close(self) -> None:
        self.reader.close()


def read_body(reader: StoreReader, path: TilePath) -> bytes | None:
    """The tile or bundle at `path`, cut out of the stored one; None if the store has less."""
    if path.level is None:
        start = path.index * TILE_WIDTH
        leaves = reader.leaves(start, start + path.hashes)
        return encode_bundle(leaves) if len(leaves) == path.hashes else None
    body = reader.tile(path.level, path.index)
    length = path.hashes * HASH_BYTES
    return body[:length] if body is not None and len(body) >= length else None


def published_size(note: bytes) -> int:
    return Checkpoint.parse(SignedNote.parse(note).text).size
