"""Verify a whole log from its bytes: every entry, every tile, the root and the signed head.

One pass, flat memory. Nothing the log says of itself is taken over: leaf hashes, tiles and root are
derived again from the entries, and the first thing that differs is named by its place. The signatures
of gateways are checked by a callable, so that they can be spread over threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.core.tlog.checkpoint import Checkpoint
from gateway.core.tlog.entry import Entry, verify_entry_signature
from gateway.core.tlog.note import VerifierKey, Verify
from gateway.core.tlog.tiles import (
    TILE_BYTES,
    TILE_WIDTH,
    TilePath,
    decode_bundle,
    perfect_root,
    tile_at,
)
from gateway.core.tlog.tree import EMPTY_ROOT, HASH_BYTES, Frontier, fold, leaf_hash
from gateway.errors import VerificationFailed

ReadTile = Callable[[TilePath], bytes]
"""The body served at a path; LookupError if there is none."""

CheckEntries = Callable[[int, Sequence[Entry]], None]
"""(index of the first, up to 256 neighbouring entries): raise VerificationFailed to report one."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was verified: the head, and how many entries of each type it covers."""

    checkpoint: Checkpoint
    kinds: Mapping[str, int]


def audit_log(
    checkpoint: Checkpoint,
    entries: Iterable[bytes],
    read_tile: ReadTile,
    *,
    saved: Checkpoint | None = None,
    check_entries: CheckEntries | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Audit:
    """Re-derive the log up to `checkpoint`, which `open_checkpoint` has accepted.

    `entries` are read from index 0; those beyond the head are not touched. `saved` is a head seen
    earlier, of which this log must be a continuation. `on_progress` gets the number of entries done.
    Raises VerificationFailed with the first finding, named by entry index, tile path or checkpoint.
    """
    _check_saved(checkpoint, saved)
    kinds: Counter[str] = Counter()
    tree = _Tree(checkpoint.size, read_tile)
    remaining = iter(entries)
    for first in range(0, checkpoint.size, TILE_WIDTH):
        end = min(first + TILE_WIDTH, checkpoint.size)
        leaves = list(islice(remaining, end - first))
        if len(leaves) < end - first:
            raise VerificationFailed(f"entry {first + len(leaves)}: missing")
        parsed = [_parse(index, leaf) for index, leaf in enumerate(leaves, first)]
        tree.add(b"".join([leaf_hash(leaf) for leaf in leaves]))
        if saved is not None and first < saved.size <= end and tree.root(saved.size) != saved.root:
            raise VerificationFailed("checkpoint: the log is no continuation of the head seen before")
        if check_entries is not None:
            check_entries(first, parsed)
        kinds.update(entry.kind for entry in parsed)
        if on_progress is not None:
            on_progress(end)
    tree.finish()
    if tree.root(checkpoint.size) != checkpoint.root:
        raise VerificationFailed("checkpoint: the entries do not lead to its root")
    return Audit(checkpoint, dict(kinds))


def entries_in_bundles(size: int, read_tile: ReadTile) -> Iterator[bytes]:
    """The entries of a log of `size`, out of its bundles.

    Raises VerificationFailed for a bundle that is missing, cut, or holds more than belongs there.
    """
    for index in range(-(-size // TILE_WIDTH)):
        path = tile_at(size, None, index)
        try:
            bundle = decode_bundle(read_tile(path))
        except LookupError as error:
            raise VerificationFailed(f"{path}: missing") from error
        except ValueError as error:
            raise VerificationFailed(f"{path}: not whole entries") from error
        if len(bundle) != path.hashes:
            raise VerificationFailed(f"{path}: {path.hashes} entries belong there, not {len(bundle)}")
        yield from bundle


def signature_check(keys: Iterable[VerifierKey], verify: Verify) -> CheckEntries:
    """A check that every entry is signed by one of these gateway keys."""
    by_id = {key.key_id.hex(): key for key in keys}

    def check(first: int, entries: Sequence[Entry]) -> None:
        for index, entry in enumerate(entries, first):
            key = by_id.get(entry.gateway_key_id)
            if key is None:
                raise VerificationFailed(f"entry {index}: signed by an unknown gateway key")
            try:
                verify_entry_signature(entry, key, verify)
            except VerificationFailed as error:
                raise VerificationFailed(f"entry {index}: {error.text.removeprefix('entry: ')}") from error

    return check


def _check_saved(checkpoint: Checkpoint, saved: Checkpoint | None) -> None:
    if saved is None:
        return
    if saved.origin != checkpoint.origin:
        raise VerificationFailed("checkpoint: the head seen before is of another log")
    if saved.size > checkpoint.size:
        raise VerificationFailed("checkpoint: the log is shorter than the head seen before")
    if saved.size == 0 and saved.root != EMPTY_ROOT:
        raise VerificationFailed("checkpoint: the log is no continuation of the head seen before")


def _parse(index: int, leaf: bytes) -> Entry:
    try:
        return Entry.parse(leaf)
    except ValueError as error:
        raise VerificationFailed(f"entry {index}: {error}") from error


class _Tree:
    """The tree derived anew, row by row; each tile is compared with the log's own when it is complete."""

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        self._size = size
        self._read = read_tile
        self._row = b""  # leaf hashes added last
        self._before = Frontier()  # over the roots of the full level-0 tiles before that row
        self._upper: list[bytes] = []  # from level 1 up: hashes whose tile is not full yet
        self._compared: Counter[int] = Counter()  # level -> tiles

    def add(self, row: bytes) -> None:
        """The next 256 leaf hashes, or what is left of them at the end."""
        if self._row:
            self._before.append(perfect_root(self._row))
        self._row = row
        self._compare(0, row)
        if len(row) == TILE_BYTES:
            self._push(1, perfect_root(row))

    def finish(self) -> None:
        """Compare the tiles above level 0 that did not get full."""
        for level, row in enumerate(self._upper, 1):
            if row:
                self._compare(level, row)

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries; `size` lies in the row added last, or at its end."""
        row = self._row[: (size - self._before.size * TILE_WIDTH) * HASH_BYTES]
        return fold([*self._before.hashes, *_perfect_roots(row)])

    def _push(self, level: int, hash_: bytes) -> None:
        if len(self._upper) < level:
            self._upper.append(b"")
        row = self._upper[level - 1] + hash_
        if len(row) < TILE_BYTES:
            self._upper[level - 1] = row
            return
        self._upper[level - 1] = b""
        self._compare(level, row)
        self._push(level + 1, perfect_root(row))

    def _compare(self, level: int, row: bytes) -> None:
        path = tile_at(self._size, level, self._compared[level])
        self._compared[level] += 1
        try:
            body = self._read(path)
        except LookupError as error:
            raise VerificationFailed(f"{path}: missing") from error
        if body != row:
            raise VerificationFailed(_difference(path, body, row))


def _difference(path: TilePath, body: bytes, row: bytes) -> str:
    if len(body) != len(row):
        return f"{path}: {len(row)} bytes belong there, not {len(body)}"
    at = next(i for i, byte in enumerate(row) if body[i] != byte) // HASH_BYTES
    if path.level == 0:
        return f"entry {path.index * TILE_WIDTH + at}: its hash is not the one in {path}"
    return f"{path}: hash {at} is not the one that follows from the entries"


def _perfect_roots(row: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(row):
        width = HASH_BYTES << ((len(row) - at) // HASH_BYTES).bit_length() - 1
        yield perfect_root(row[at : at + width])
        at += width
