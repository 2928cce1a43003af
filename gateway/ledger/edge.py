"""The right edge of the tree: at each level, the one tile that is not full yet.

A stored row per tile serves every earlier width of it, as a partial tile is a prefix of the full one
(C2SP tlog-tiles). The perfect subtrees under the edge tiles, top level first, are the frontier of the
tree, so one hash per entry is enough. Pure: it computes what a commit must write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.core.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, split_hashes
from gateway.core.tlog.tree import EMPTY_ROOT, HASH_BYTES, Frontier, fold

TileKey = tuple[int, int]
"""(level, number)."""


class RightEdge:
    """The edge of a tree; `extend` grows it. Not thread-safe, and of no use after a failed commit."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[_EdgeTile] = []

    @classmethod
    def from_tiles(cls, size: int, read: Callable[[int, int], bytes | None]) -> RightEdge:
        """The edge of the tree of `size`, from stored tiles; ValueError names one that is missing."""
        edge = cls()
        edge.size = size
        for level in range(-(-size.bit_length() // TILE_HEIGHT)):
            number, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
            body = (read(level, number) or b"") if width else b""
            if len(body) < width * HASH_BYTES:
                raise ValueError(f"tile {level}/{number} is missing or cut")
            edge._levels.append(_EdgeTile(split_hashes(body[: width * HASH_BYTES])))
        return edge

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The frontier: the perfect subtrees that make up the tree, largest first."""
        return tuple(hash_ for tile in reversed(self._levels) for hash_ in tile.frontier.hashes)

    def root(self) -> bytes:
        return fold(self.hashes) if self.size else EMPTY_ROOT

    def extend(self, leaf_hashes: Iterable[bytes]) -> dict[TileKey, bytes]:
        """Append the leaves; every tile that is now different, full or not, by level and number."""
        changed: dict[TileKey, bytes] = {}
        for leaf_hash in leaf_hashes:
            self.size += 1
            self._push(0, leaf_hash, changed)
        return changed | self._partials(upper=bool(changed))

    def _push(self, level: int, hash_: bytes, changed: dict[TileKey, bytes]) -> None:
        if len(self._levels) == level:
            self._levels.append(_EdgeTile([]))
        tile = self._levels[level]
        tile.hashes.append(hash_)
        tile.frontier.append(hash_)
        if len(tile.hashes) == TILE_WIDTH:
            changed[level, (self.size >> TILE_HEIGHT * (level + 1)) - 1] = b"".join(tile.hashes)
            self._levels[level] = _EdgeTile([])
            self._push(level + 1, tile.frontier.root(), changed)

    def _partials(self, *, upper: bool) -> dict[TileKey, bytes]:
        """The tiles not yet full; those above level 0 move only when one below became full."""
        return {
            (level, self.size >> TILE_HEIGHT * (level + 1)): b"".join(tile.hashes)
            for level, tile in enumerate(self._levels)
            if tile.hashes and (level == 0 or upper)
        }


class _EdgeTile:
    """The hashes of a tile that still grows, and the perfect subtrees over them."""

    __slots__ = ("frontier", "hashes")

    def __init__(self, hashes: list[bytes]) -> None:
        self.hashes = hashes
        self.frontier = Frontier()
        for hash_ in hashes:
            self.frontier.append(hash_)
