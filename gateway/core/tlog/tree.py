"""The Merkle tree of RFC 6962 section 2.1, and its right edge as a compact range.

Leaves and nodes are hashed with different first bytes, so that neither can pose as the other.
`Frontier` is all that appending needs: one hash for each set bit of the size. It holds no history;
proofs are made in `proof` from stored hashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without entries."""

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
"""The largest size a log can have: every reader of the formats holds it in a signed 64-bit integer."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Iterable[bytes]) -> bytes:
    """The root over neighbouring perfect subtrees, given left to right, largest first."""
    rest = list(hashes)
    root = rest.pop() if rest else EMPTY_ROOT
    while rest:
        root = node_hash(rest.pop(), root)
    return root


class Frontier:
    """The perfect subtrees that make up a tree of `size` leaves, largest (leftmost) first."""

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if not 0 <= size <= MAX_SIZE or len(self._hashes) != size.bit_count():
            raise ValueError("a frontier has one hash for each set bit of its size")
        if any(len(hash_) != HASH_BYTES for hash_ in self._hashes):
            raise ValueError("a hash has 32 bytes")

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add the leaf with this leaf hash; one node hash on average."""
        hashes, size = self._hashes, self.size
        while size & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return fold(self._hashes)

    def copy(self) -> Frontier:
        return Frontier(self.size, self._hashes)
