from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tlog.proof import prove_consistency, prove_inclusion, verify_consistency, verify_inclusion
from gateway.core.tlog.tiles import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    TilePath,
    decode_bundle,
    encode_bundle,
    hash_reader,
    partial_width,
    perfect_root,
    split_hashes,
    tile_at,
    tile_paths,
)
from gateway.core.tlog.tree import MAX_SIZE, Frontier, leaf_hash, node_hash
from tests.core.tlog.support import MemoryLog, load

PUBLISHED = load("tiles_70000.json")
REFUSED = load("refused.json")["tile_path"]
SIZE = PUBLISHED["size"]
PATHS = {
    "tile/0/000": TilePath(0, 0),
    "tile/0/999": TilePath(0, 999),
    "tile/0/x001/000": TilePath(0, 1000),
    "tile/0/x001/x234/067": TilePath(0, 1234067),
    "tile/63/000.p/1": TilePath(63, 0, 1),
    "tile/entries/x123/456.p/255": TilePath(None, 123456, 255),
    "tile/1/x009/x223/x372/x036/x854/x775/807": TilePath(1, MAX_SIZE),
}


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    return MemoryLog([b"%d" % i for i in range(SIZE)])


@pytest.fixture(scope="module")
def roots(log: MemoryLog) -> dict[int, bytes]:
    frontier, roots = Frontier(), {}
    for size, leaf in enumerate(log.levels[0], 1):
        frontier.append(leaf)
        if size in (1, 255, 256, 257, 65535, 65536, 65537, SIZE):
            roots[size] = frontier.root()
    return roots


def test_the_published_root(roots: dict[int, bytes]) -> None:
    assert roots[SIZE].hex() == PUBLISHED["root"]


@pytest.mark.parametrize(("path", "expected"), PUBLISHED["bodies"].items())
def test_published_bodies(log: MemoryLog, path: str, expected: list[object]) -> None:
    body = log.body(TilePath.parse(path))
    assert [len(body), hashlib.sha256(body).hexdigest()] == expected


def test_every_published_path_is_listed_once() -> None:
    paths = list(tile_paths(SIZE))
    assert len(set(paths)) == len(paths) == PUBLISHED["tiles"] + PUBLISHED["bundles"]
    assert sum(path.level is None for path in paths) == PUBLISHED["bundles"]
    assert set(PUBLISHED["bodies"]) <= {str(path) for path in paths}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, ["tile/entries/000.p/1", "tile/0/000.p/1"]),
        (255, ["tile/entries/000.p/255", "tile/0/000.p/255"]),
        (256, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]),
        (
            257,
            ["tile/entries/000", "tile/entries/001.p/1", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"],
        ),
    ],
)
def test_the_paths_of_small_logs(size: int, expected: list[str]) -> None:
    assert [str(path) for path in tile_paths(size)] == expected


@pytest.mark.parametrize(
    ("size", "level", "index", "width"),
    [
        (0, 0, 0, 0),
        (1, 0, 0, 1),
        (255, 0, 0, 255),
        (256, 0, 0, 256),
        (256, 0, 1, 0),
        (257, 0, 1, 1),
        (257, None, 1, 1),
        (255, 1, 0, 0),
        (256, 1, 0, 1),
        (65535, 1, 0, 255),
        (65536, 1, 0, 256),
        (65536, 2, 0, 1),
        (70000, 0, 273, 112),
        (70000, 0, 274, 0),
        (70000, 1, 1, 17),
    ],
)
def test_partial_width(size: int, level: int | None, index: int, width: int) -> None:
    assert partial_width(size, level, index) == width
    if width == 0:
        with pytest.raises(ValueError, match="no such tile"):
            tile_at(size, level, index)
    else:
        assert tile_at(size, level, index).hashes == width


@pytest.mark.parametrize(("text", "path"), PATHS.items(), ids=PATHS)
def test_paths(text: str, path: TilePath) -> None:
    assert str(path) == text
    assert TilePath.parse(text) == path


@given(
    st.none() | st.integers(0, 63),
    st.integers(0, MAX_SIZE) | st.integers(0, 2_000_000),
    st.none() | st.integers(1, 255),
)
def test_paths_round_trip(level: int | None, index: int, width: int | None) -> None:
    path = TilePath(level, index, width)
    assert TilePath.parse(str(path)) == path


@pytest.mark.parametrize("text", REFUSED["refused"].values(), ids=REFUSED["refused"])
def test_refused_paths(text: str) -> None:
    assert str(TilePath.parse(REFUSED["good"])) == REFUSED["good"]
    with pytest.raises(ValueError):
        TilePath.parse(text)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, None), (64, 0, None), (0, -1, None), (0, 0, 0), (0, 0, 256)]
)
def test_a_path_is_checked_when_built(level: int, index: int, width: int | None) -> None:
    with pytest.raises(ValueError):
        TilePath(level, index, width)


BUNDLES = st.lists(st.binary(max_size=40), max_size=TILE_WIDTH)


@given(BUNDLES)
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_the_bytes_of_a_bundle() -> None:
    assert encode_bundle([b"ab", b"", b"c"]) == b"\x00\x02ab\x00\x00\x00\x01c"


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01ab", b"\x00\x00\x00"])
def test_a_cut_or_overlong_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut"):
        decode_bundle(data)


def test_the_limits_of_a_bundle() -> None:
    longest = [bytes(MAX_ENTRY_BYTES)] + [b""] * (TILE_WIDTH - 1)
    assert decode_bundle(encode_bundle(longest)) == longest
    with pytest.raises(ValueError, match="65535"):
        encode_bundle([bytes(MAX_ENTRY_BYTES + 1)])
    with pytest.raises(ValueError, match="256"):
        encode_bundle([b""] * (TILE_WIDTH + 1))
    with pytest.raises(ValueError, match="256"):
        decode_bundle(b"\x00\x00" * (TILE_WIDTH + 1))


def test_the_root_over_a_row() -> None:
    a, b, c, d = (leaf_hash(x) for x in (b"a", b"b", b"c", b"d"))
    assert perfect_root(a) == a
    assert perfect_root(a + b + c + d) == node_hash(node_hash(a, b), node_hash(c, d))
    with pytest.raises(ValueError):
        perfect_root(a + b + c)
    with pytest.raises(ValueError, match="whole hashes"):
        split_hashes(a + b"x")


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65535, 65536, 65537, SIZE])
def test_proofs_out_of_tiles(log: MemoryLog, roots: dict[int, bytes], size: int) -> None:
    read = hash_reader(size, log.body)
    for index in {0, size // 3, size - 1}:
        proof = prove_inclusion(index, size, read)
        assert proof == prove_inclusion(index, size, log.read)
        verify_inclusion(index, size, log.levels[0][index], proof, roots[size])
    for old in (old for old in roots if old <= size):
        verify_consistency(old, size, roots[old], roots[size], prove_consistency(old, size, read))


@pytest.mark.parametrize("change", [-32, -1, 1, 32])
def test_a_reader_refuses_tiles_of_another_length(log: MemoryLog, change: int) -> None:
    def fetch(path: TilePath) -> bytes:
        body = log.body(path)
        return (body + bytes(32))[: len(body) + change]

    with pytest.raises(ValueError, match="another length"):
        prove_inclusion(5, SIZE, hash_reader(SIZE, fetch))


def test_a_reader_has_no_hashes_beyond_its_size(log: MemoryLog) -> None:
    read = hash_reader(300, log.body)
    assert read([(0, 299)]) == [log.levels[0][299]]
    for node in [(0, 300), (1, 150), (8, 1), (16, 0)]:
        with pytest.raises(ValueError):
            read([node])


def test_a_tile_is_fetched_once_for_a_proof(log: MemoryLog) -> None:
    fetched: list[TilePath] = []

    def fetch(path: TilePath) -> bytes:
        fetched.append(path)
        return log.body(path)

    prove_inclusion(5, SIZE, hash_reader(SIZE, fetch))
    assert len(fetched) == len(set(fetched))
