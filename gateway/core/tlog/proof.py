"""Inclusion and consistency proofs: made from stored hashes, checked without them.

A prover names every hash it wants in one batched read, by place in the tree; a verifier follows the
loops of RFC 9162 step by step and refuses proofs with too few or too many hashes. Proofs are listed
from the leaf's side to the root's (RFC 6962 sections 2.1.1 and 2.1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.core.tlog.tree import EMPTY_ROOT, HASH_BYTES, fold, node_hash
from gateway.errors import VerificationFailed

Node = tuple[int, int]
"""(level, index): the root of the perfect subtree over leaves index * 2^level up to (index + 1) * 2^level."""

ReadHashes = Callable[[Sequence[Node]], Sequence[bytes]]
"""The hashes of these nodes, in the order asked; one call for a whole proof."""

_Range = tuple[int, int]


def prove_inclusion(index: int, size: int, read: ReadHashes) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1. Raises ValueError unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError("there is no such entry in a tree of this size")
    return _read_ranges(_inclusion_ranges(index, size), read)


def prove_consistency(old: int, new: int, read: ReadHashes) -> tuple[bytes, ...]:
    """PROOF(old, D[new]) of RFC 6962 section 2.1.2, empty for old = 0 or old = new.

    Raises ValueError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError("a tree is consistent with larger ones only")
    if old in (0, new):
        return ()
    return _read_ranges(_consistency_ranges(old, new), read)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` (a leaf hash) is at `index` under `root`: RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        raise VerificationFailed("inclusion proof: the index is not below the tree size")
    _check_lengths("inclusion proof", (leaf, root, *proof))
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            raise VerificationFailed("inclusion proof: too many hashes")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise VerificationFailed("inclusion proof: too few hashes")
    if r != root:
        raise VerificationFailed("inclusion proof: it does not lead to the root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree `old_root` is a beginning of `new_root`: RFC 9162 section 2.1.4.2.

    Every tree begins with the empty one, and with itself: those proofs are empty.
    """
    if not 0 <= old <= new:
        raise VerificationFailed("consistency proof: the old tree is larger than the new one")
    _check_lengths("consistency proof", (old_root, new_root, *proof))
    if old in (0, new):
        if proof:
            raise VerificationFailed("consistency proof: too many hashes")
        if old_root != (new_root if old == new else EMPTY_ROOT):
            raise VerificationFailed("consistency proof: it does not lead to the old root")
        return
    _check_consistency_path(old, new, old_root, new_root, proof)


def _check_consistency_path(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise VerificationFailed("consistency proof: too few hashes")
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise VerificationFailed("consistency proof: too many hashes")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise VerificationFailed("consistency proof: too few hashes")
    if fr != old_root:
        raise VerificationFailed("consistency proof: it does not lead to the old root")
    if sr != new_root:
        raise VerificationFailed("consistency proof: it does not lead to the new root")


def _check_lengths(what: str, hashes: Sequence[bytes]) -> None:
    if any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise VerificationFailed(f"{what}: a hash has 32 bytes")


def _split(low: int, high: int) -> int:
    """Where RFC 6962 divides leaves low..high: after the largest power of two below their number."""
    return low + (1 << ((high - low - 1).bit_length() - 1))


def _inclusion_ranges(index: int, size: int) -> list[_Range]:
    low, high = 0, size
    ranges: list[_Range] = []
    while high - low > 1:
        middle = _split(low, high)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def _consistency_ranges(old: int, new: int) -> list[_Range]:
    low, high = 0, new
    ranges: list[_Range] = []
    while old != high:
        middle = _split(low, high)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low > 0:  # with low = 0 the old tree is itself a subtree, and the verifier has its root already
        ranges.append((low, high))
    return ranges[::-1]


def _perfect_subtrees(low: int, high: int) -> Iterator[Node]:
    while low < high:
        level = (high - low).bit_length() - 1
        yield level, low >> level
        low += 1 << level


def _read_ranges(ranges: Sequence[_Range], read: ReadHashes) -> tuple[bytes, ...]:
    parts = [list(_perfect_subtrees(low, high)) for low, high in ranges]
    hashes = read([node for part in parts for node in part])
    if len(hashes) != sum(map(len, parts)):
        raise ValueError("the reader gave another number of hashes than was asked for")
    remaining = iter(hashes)
    return tuple(fold(next(remaining) for _ in part) for part in parts)
