from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tlog.tree import EMPTY_ROOT, Frontier, fold, leaf_hash, node_hash
from tests.core.tlog.support import load

CT = load("ct_tree.json")
ENTRIES = [bytes.fromhex(entry) for entry in CT["entries"]]


def mth(entries: list[bytes]) -> bytes:
    """The definition of RFC 6962 section 2.1, word for word."""
    if not entries:
        return EMPTY_ROOT
    if len(entries) == 1:
        return leaf_hash(entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return node_hash(mth(entries[:k]), mth(entries[k:]))


def frontier_of(entries: list[bytes]) -> Frontier:
    frontier = Frontier()
    for entry in entries:
        frontier.append(leaf_hash(entry))
    return frontier


def test_the_empty_root_is_published() -> None:
    assert CT["empty_root"] == EMPTY_ROOT.hex()
    assert Frontier().root() == EMPTY_ROOT


@pytest.mark.parametrize(("index", "expected"), CT["leaf_hashes"].items())
def test_published_leaf_hashes(index: str, expected: str) -> None:
    assert leaf_hash(ENTRIES[int(index)]).hex() == expected


@pytest.mark.parametrize(("size", "expected"), CT["roots"].items())
def test_published_roots(size: str, expected: str) -> None:
    assert frontier_of(ENTRIES[: int(size)]).root().hex() == expected


def test_a_frontier_has_the_root_of_the_definition_at_every_size() -> None:
    entries = [b"%d" % i for i in range(300)]
    frontier = Frontier()
    for size, entry in enumerate(entries):
        assert frontier.size == size
        assert frontier.root() == mth(entries[:size])
        assert len(frontier.hashes) == size.bit_count()
        frontier.append(leaf_hash(entry))


@given(st.integers(0, 80), st.integers(0, 80))
def test_a_stored_frontier_goes_on_where_it_stopped(first: int, more: int) -> None:
    entries = [b"%d" % i for i in range(first + more)]
    stored = frontier_of(entries[:first])
    resumed = Frontier(stored.size, stored.hashes)
    for entry in entries[first:]:
        resumed.append(leaf_hash(entry))
    assert resumed.root() == mth(entries)
    assert stored.root() == mth(entries[:first])


def test_a_copy_leaves_the_original_alone() -> None:
    frontier = frontier_of(ENTRIES[:5])
    copy = frontier.copy()
    copy.append(leaf_hash(ENTRIES[5]))
    assert (frontier.size, frontier.root()) == (5, mth(ENTRIES[:5]))
    assert (copy.size, copy.root()) == (6, mth(ENTRIES[:6]))


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(0, [bytes(32)]), (1, []), (3, [bytes(32)]), (2, [bytes(32)] * 2), (1, [bytes(31)]), (-1, [bytes(32)])],
)
def test_a_frontier_of_the_wrong_shape_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(ValueError):
        Frontier(size, hashes)


def test_a_leaf_never_passes_for_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_fold_goes_from_right_to_left() -> None:
    a, b, c = (leaf_hash(x) for x in (b"a", b"b", b"c"))
    assert fold([a]) == a
    assert fold([a, b, c]) == node_hash(a, node_hash(b, c))
