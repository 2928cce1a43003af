"""Tiles and entry bundles: how a log is served as static files (c2sp.org/tlog-tiles).

A tile holds up to 256 hashes of one level of the tree, a bundle the up to 256 entries beneath a
level-0 tile. A partial tile or bundle is a byte prefix of the full one, so one stored row serves
every size the log ever had. Paths have one spelling; nothing is read or written here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core.tlog.proof import Node, ReadHashes
from gateway.core.tlog.tree import HASH_BYTES, MAX_SIZE, node_hash

TILE_WIDTH = 256
TILE_HEIGHT = 8
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 65535

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class TilePath:
    """Where a tile is served; `level` None means entries, `width` None means full.

    >>> str(TilePath(0, 1234067, 5))
    'tile/0/x001/x234/067.p/5'
    """

    level: int | None
    index: int
    width: int | None = None

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise ValueError("a tile level is between 0 and 63")
        if not 0 <= self.index <= MAX_SIZE:
            raise ValueError("a tile index is between 0 and 2^63 - 1")
        if self.width is not None and not 1 <= self.width < TILE_WIDTH:
            raise ValueError("a partial width is between 1 and 255")

    @classmethod
    def parse(cls, path: str) -> TilePath:
        """Read `tile/...`; ValueError unless `str()` would give it back."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise ValueError("not a tile path")
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", ""))
        tile = cls(level, index, None if match["width"] is None else int(match["width"]))
        if str(tile) != path:
            raise ValueError("not the one spelling of this tile path")
        return tile

    @property
    def hashes(self) -> int:
        """How many hashes (or entries) the tile holds."""
        return TILE_WIDTH if self.width is None else self.width

    def __str__(self) -> str:
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        index = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level is None else self.level
        return f"tile/{level}/{index}" + ("" if self.width is None else f".p/{self.width}")


def partial_width(size: int, level: int | None, index: int) -> int:
    """How many hashes (or entries) this tile holds in a log of `size` entries: 0 to 256."""
    row = size >> (TILE_HEIGHT * (level or 0))
    return min(TILE_WIDTH, max(0, row - TILE_WIDTH * index))


def tile_at(size: int, level: int | None, index: int) -> TilePath:
    """The largest form of this tile in a log of `size` entries; ValueError if there is none yet."""
    width = partial_width(size, level, index)
    if width == 0:
        raise ValueError("the log has no such tile yet")
    return TilePath(level, index, None if width == TILE_WIDTH else width)


def tile_paths(size: int) -> Iterator[TilePath]:
    """Every bundle, then every tile level by level, of a log of `size` entries."""
    for level in (None, *range(-(-size.bit_length() // TILE_HEIGHT))):
        row = size >> (TILE_HEIGHT * (level or 0))
        for index in range(-(-row // TILE_WIDTH)):
            yield tile_at(size, level, index)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Each entry behind its length in two bytes, big-endian. Raises ValueError beyond 256 or 65535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError("an entry has at most 65535 bytes")
        parts += (_LENGTH.pack(len(entry)), entry)
    if len(parts) > 2 * TILE_WIDTH:
        raise ValueError("a bundle has at most 256 entries")
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a whole bundle; ValueError for a cut or overlong one."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = _entry_end(data, at)
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) > TILE_WIDTH:
        raise ValueError("a bundle has at most 256 entries")
    return entries


def hash_reader(size: int, fetch: Callable[[TilePath], bytes]) -> ReadHashes:
    """Read tree hashes out of the tiles of a log of `size` entries, each tile fetched once per batch.

    `fetch` gives the body of a tile; what is asked for is its largest form at `size`. The reader
    raises ValueError for a body of the wrong length and for hashes beyond `size`.
    """

    def read(nodes: Sequence[Node]) -> list[bytes]:
        bodies: dict[TilePath, bytes] = {}
        return [_node_in_tiles(size, node, fetch, bodies) for node in nodes]

    return read


def perfect_root(row: bytes) -> bytes:
    """The hash over neighbouring hashes of one level, joined; their number is a power of two."""
    hashes = split_hashes(row)
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def split_hashes(body: bytes) -> list[bytes]:
    """The hashes in the body of a tile; ValueError unless it is whole hashes."""
    if len(body) % HASH_BYTES:
        raise ValueError("a tile is whole hashes")
    return [body[i : i + HASH_BYTES] for i in range(0, len(body), HASH_BYTES)]


def _node_in_tiles(
    size: int, node: Node, fetch: Callable[[TilePath], bytes], bodies: dict[TilePath, bytes]
) -> bytes:
    level, height = divmod(node[0], TILE_HEIGHT)
    index, first = divmod(node[1] << height, TILE_WIDTH)
    path = tile_at(size, level, index)
    body = bodies.get(path)
    if body is None:
        body = bodies[path] = fetch(path)
        if len(body) != path.hashes * HASH_BYTES:
            raise ValueError(f"{path}: a tile of another length was expected")
    if first + (1 << height) > path.hashes:
        raise ValueError("the log has no such hash yet")
    return perfect_root(body[first * HASH_BYTES : (first + (1 << height)) * HASH_BYTES])


def _entry_end(data: bytes, at: int) -> int:
    if at + 2 > len(data):
        raise ValueError("the bundle is cut")
    end: int = at + 2 + _LENGTH.unpack_from(data, at)[0]
    if end > len(data):
        raise ValueError("the bundle is cut")
    return end
