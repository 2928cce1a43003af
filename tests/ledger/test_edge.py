from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tlog.tree import EMPTY_ROOT, Frontier, leaf_hash
from gateway.ledger.edge import RightEdge, TileKey


def _leaves(count: int) -> list[bytes]:
    return [sha256(b"%d" % i).digest() for i in range(count)]


def _grow(steps: list[int]) -> tuple[RightEdge, dict[TileKey, bytes]]:
    edge, tiles = RightEdge(), dict[TileKey, bytes]()
    leaves = iter(_leaves(sum(steps)))
    for step in steps:
        tiles |= edge.extend([next(leaves) for _ in range(step)])
    return edge, tiles


@given(st.lists(st.integers(0, 600), max_size=6))
def test_the_edge_is_the_frontier_however_the_leaves_arrive(steps: list[int]) -> None:
    edge, tiles = _grow(steps)
    frontier = Frontier()
    for leaf in _leaves(sum(steps)):
        frontier.append(leaf)
    assert (edge.size, edge.hashes, edge.root()) == (frontier.size, frontier.hashes, frontier.root())
    assert tiles == _grow([sum(steps)])[1]


@given(st.lists(st.integers(0, 600), min_size=1, max_size=5), st.data())
def test_stored_tiles_give_back_the_edge_of_every_earlier_size(steps: list[int], data: st.DataObject) -> None:
    _, tiles = _grow(steps)
    size = data.draw(st.integers(0, sum(steps)))
    again = RightEdge.from_tiles(size, lambda level, n: tiles.get((level, n)))
    assert (again.root(), again.hashes) == (_grow([size])[0].root(), _grow([size])[0].hashes)


# 70 000 entries, the ASCII decimals from "0" on: SHA-256 of tiles, as other implementations of
# c2sp.org/tlog-tiles compute them.
ROOT_70000 = "1a4cdfcb66374a0c0dcbef49acbd4976d13ee864fb3cb241fc943cad04f02f7e"
TILES_70000 = {
    (0, 0): (8192, "b9704a8bfbee2c61185ceb38904a49f3f703c81e194b5b2ccdc254c2bdaaa62b"),
    (0, 273): (3584, "4d21244557c976993a9a89bf928a46b5a876585228df279878239fd84489e5a5"),
    (1, 0): (8192, "ea7b038bc73489c89c31a27ac355aaca65a4ed73f0dd7484e68deb29d30f10a2"),
    (1, 1): (544, "adfaca2731630fe7944a4b98a0f98ef3e98685eafda09e6f81070218fb759ce4"),
    (2, 0): (32, "f0113c8bad855b49f9a5dd661d50012cd94f19aae87a45eb8334666835e3caea"),
}


def test_three_levels_of_tiles_have_the_published_bytes() -> None:
    edge, tiles = RightEdge(), dict[TileKey, bytes]()
    for start in range(0, 70_000, 3333):
        tiles |= edge.extend(leaf_hash(b"%d" % i) for i in range(start, min(start + 3333, 70_000)))
    assert edge.root().hex() == ROOT_70000
    assert {key: (len(tiles[key]), sha256(tiles[key]).hexdigest()) for key in TILES_70000} == TILES_70000
    assert len(tiles) == 277


def test_an_empty_edge_has_the_empty_root() -> None:
    assert RightEdge().root() == RightEdge.from_tiles(0, lambda _l, _n: None).root() == EMPTY_ROOT


@pytest.mark.parametrize("cut", [None, b"", bytes(31)])
def test_a_tile_that_is_missing_or_cut_is_named(cut: bytes | None) -> None:
    _, tiles = _grow([300])
    with pytest.raises(ValueError, match="tile 1/0"):
        RightEdge.from_tiles(300, lambda level, n: cut if level else tiles[level, n])
