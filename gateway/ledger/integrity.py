"""Whether the database of a ledger says what the ledger's leaves say.

What lies beside the leaves steers a replay: the kind of a row, the index of kinds, the head's mark. Damage
to any of them could hide a withdrawal, so none is believed before it was derived from the leaves here, and
the leaves were held to the tiles. Findings are VerificationFailed and name the place; nothing is repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.core.tlog.checkpoint import open_checkpoint
from gateway.core.tlog.note import VerifierKey
from gateway.core.tlog.tiles import TILE_BYTES, TILE_WIDTH, perfect_root, split_hashes, tile_at
from gateway.core.tlog.tree import EMPTY_ROOT, HASH_BYTES, Frontier, fold, leaf_hash
from gateway.errors import VerificationFailed
from gateway.ledger.signing import verify_ed25519
from gateway.ledger.store import MARK_KINDS, Head, Rows, StoredEntry, StoreReader

_TILES_AT_ONCE = 64


def check_schema(reader: StoreReader) -> None:
    """The database has the parts of a ledger, and no trigger or view that changes what is read or written."""
    part = reader.foreign_part()
    if part is not None:
        raise VerificationFailed(f"database: {part} is not as a ledger has it")


def check_pages(reader: StoreReader) -> None:
    """The database's own check of its pages and indexes."""
    damage = reader.damage()
    if damage is not None:
        raise VerificationFailed(f"database: it is damaged: {damage}")


def check_rows(reader: StoreReader, start: int = 0) -> Rows:
    """The rows from index `start` on (as far as the last committed entry) and what was derived from them.

    Each has the kind of its leaf, none is missing or too many, the index of kinds has exactly those it is
    for, and the head's mark is the last of MARK_KINDS among them.
    """
    rows = reader.rows(start)
    if rows.misnamed is not None:
        raise VerificationFailed(f"entry {rows.misnamed}: its columns are not those of its leaf")
    if rows.last >= rows.head.size:
        raise VerificationFailed(f"entry {rows.head.size}: the head does not cover it")
    expected = rows.head.size - start
    if rows.count != expected:
        raise VerificationFailed(f"entry {start} and on: {expected} entries belong there, not {rows.count}")
    _check_index(rows)
    _check_mark(rows)
    return rows


def check_tree(reader: StoreReader, head: Head) -> None:
    """All leaves lead over the tiles of the lowest level to the root of `head`. 2 s for a million."""
    before, row = Frontier(), b""
    for tiles in range(0, -(-head.size // TILE_WIDTH), _TILES_AT_ONCE):
        first = tiles * TILE_WIDTH
        end = min(first + _TILES_AT_ONCE * TILE_WIDTH, head.size)
        leaves = reader.leaves(first, end)
        hashes = b"".join([leaf_hash(leaf) for leaf in leaves])
        for at in range(0, len(hashes), TILE_BYTES):
            if len(row) == TILE_BYTES:
                before.append(perfect_root(row))
            row = hashes[at : at + TILE_BYTES]
            _check_tile(reader, head.size, before.size, row)
        if len(leaves) < end - first:
            raise VerificationFailed(f"entry {first + len(leaves)}: missing")
    if _root(before, row) != head.root:
        raise VerificationFailed("head: the entries do not lead to its root")


def held_to_tiles(reader: StoreReader, entries: Iterable[StoredEntry]) -> Iterator[StoredEntry]:
    """The entries, each once its leaf has the hash that its tile says."""
    number, row = -1, b""
    for stored in entries:
        tile, place = divmod(stored.index, TILE_WIDTH)
        at = place * HASH_BYTES
        if tile != number or len(row) <= at:
            number, row = tile, reader.tile(0, tile) or b""
        if row[at : at + HASH_BYTES] != leaf_hash(stored.leaf):
            raise VerificationFailed(f"entry {stored.index}: its hash is not the one in its tile")
        yield stored


def check_checkpoints(reader: StoreReader, log_key: VerifierKey, size: int) -> int:
    """How many checkpoints were published up to `size`: each is signed, and is of these entries.

    The tiles must have been verified. One signature for each, and one hash for each entry at most. What was
    published after `size` was read is signed, and of the size that its row says; its root is not compared.
    """
    tree, count = _Beginnings(reader), 0
    for row_size, note in reader.checkpoints():
        try:
            checkpoint, _ = open_checkpoint(note, [log_key], verify_ed25519)
        except VerificationFailed as wrong:
            raise VerificationFailed(f"checkpoint of size {row_size}: {wrong.text}") from wrong
        if checkpoint.size != row_size:
            raise VerificationFailed(f"checkpoint of size {row_size}: it is of size {checkpoint.size}")
        if row_size <= size:
            if tree.root(row_size) != checkpoint.root:
                raise VerificationFailed(
                    f"checkpoint of size {row_size}: the entries do not lead to its root"
                )
            count += 1
    return count


def _check_index(rows: Rows) -> None:
    stray = {index for index, _ in rows.state} ^ set(rows.indexed)
    if stray or len(rows.indexed) != len(rows.state):
        place = f"entry {min(stray)}" if stray else "database"
        raise VerificationFailed(f"{place}: the index of kinds does not agree with the entries")


def _check_mark(rows: Rows) -> None:
    expected = max((index + 1 for index, kind in rows.state if kind in MARK_KINDS), default=0)
    mark = rows.head.mark
    if mark != expected if expected else not 0 <= mark <= rows.start:
        raise VerificationFailed(
            f"head: its mark is {mark}, and the entries say {expected or 'an earlier one'}"
        )


def _check_tile(reader: StoreReader, size: int, number: int, row: bytes) -> None:
    """The stored tile begins with `row` and has as many hashes as a log of `size` gives it."""
    path = tile_at(size, 0, number)
    body = reader.tile(0, number)
    if body is None:
        raise VerificationFailed(f"{path}: missing")
    if len(body) != path.hashes * HASH_BYTES:
        raise VerificationFailed(f"{path}: {path.hashes * HASH_BYTES} bytes belong there, not {len(body)}")
    if not body.startswith(row):
        pairs = zip(split_hashes(row), split_hashes(body), strict=False)
        place = next(place for place, (ours, theirs) in enumerate(pairs) if ours != theirs)
        raise VerificationFailed(f"entry {number * TILE_WIDTH + place}: its hash is not the one in {path}")


def _root(before: Frontier, row: bytes) -> bytes:
    """The root over full tiles and the hashes after them."""
    after = Frontier()
    for hash_ in split_hashes(row):
        after.append(hash_)
    hashes = [*before.hashes, *after.hashes]
    return fold(hashes) if hashes else EMPTY_ROOT


class _Beginnings:
    """The roots of a log's beginnings, from tiles; asked for in order of size."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self._full, self._edge = Frontier(), Frontier()
        self._held: dict[int, tuple[int, bytes]] = {}  # level -> the tile read last

    def root(self, size: int) -> bytes:
        tiles, width = divmod(size, TILE_WIDTH)
        if self._full.size < tiles:
            self._edge = Frontier()
        while self._full.size < tiles:
            self._full.append(self._hash(1, self._full.size))
        while self._edge.size < width:
            self._edge.append(self._hash(0, tiles * TILE_WIDTH + self._edge.size))
        return fold([*self._full.hashes, *self._edge.hashes])

    def _hash(self, level: int, index: int) -> bytes:
        number, place = divmod(index, TILE_WIDTH)
        held, body = self._held.get(level, (-1, b""))
        if held != number:
            body = self._reader.tile(level, number) or b""
            self._held[level] = number, body
        return body[place * HASH_BYTES : (place + 1) * HASH_BYTES]
