from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from gateway.core.tlog.proof import (
    Node,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from gateway.core.tlog.tree import EMPTY_ROOT, Frontier
from gateway.errors import VerificationFailed
from tests.core.tlog.support import MemoryLog, load

MAX = 130
LOG = MemoryLog([b"%d" % i for i in range(MAX)])
LEAVES = LOG.levels[0]
CT = load("ct_tree.json")
CT_LOG = MemoryLog([bytes.fromhex(entry) for entry in CT["entries"]])


def _roots(leaves: Sequence[bytes]) -> list[bytes]:
    frontier = Frontier()
    roots = [frontier.root()]
    for leaf in leaves:
        frontier.append(leaf)
        roots.append(frontier.root())
    return roots


ROOTS = _roots(LEAVES)


def mutations(proof: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Each hash changed, cut or left out; neighbours swapped; a hash more at either end."""
    for i, hash_ in enumerate(proof):
        before, after = proof[:i], proof[i + 1 :]
        yield (*before, bytes([hash_[0] ^ 1]) + hash_[1:], *after)
        yield (*before, hash_[:-1] + bytes([hash_[-1] ^ 0x80]), *after)
        yield (*before, hash_[:-1], *after)
        yield (*before, *after)
        if after:
            yield (*before, after[0], hash_, *after[1:])
    yield (*proof, bytes(32))
    yield (bytes(32), *proof)


def refused(check: Callable[..., None], *args: Any) -> bool:
    try:
        check(*args)
    except VerificationFailed:
        return True
    return False


@pytest.mark.parametrize("case", CT["inclusion"], ids=str)
def test_published_inclusion_proofs(case: dict[str, Any]) -> None:
    proof = prove_inclusion(case["index"], case["size"], CT_LOG.read)
    assert [hash_.hex() for hash_ in proof] == case["proof"]


@pytest.mark.parametrize("case", CT["consistency"], ids=str)
def test_published_consistency_proofs(case: dict[str, Any]) -> None:
    proof = prove_consistency(case["old"], case["new"], CT_LOG.read)
    assert [hash_.hex() for hash_ in proof] == case["proof"]


@pytest.mark.parametrize("size", range(1, MAX + 1))
def test_every_inclusion_proof_holds_and_no_mutation_does(size: int) -> None:
    for index in range(size):
        proof = prove_inclusion(index, size, LOG.read)
        verify_inclusion(index, size, LEAVES[index], proof, ROOTS[size])
        for wrong in mutations(proof):
            assert refused(verify_inclusion, index, size, LEAVES[index], wrong, ROOTS[size])


@pytest.mark.parametrize("new", range(1, MAX + 1))
def test_every_consistency_proof_holds_and_no_mutation_does(new: int) -> None:
    for old in range(new + 1):
        proof = prove_consistency(old, new, LOG.read)
        verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)
        for wrong in mutations(proof):
            assert refused(verify_consistency, old, new, ROOTS[old], ROOTS[new], wrong)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 100, 130])
def test_an_inclusion_proof_holds_for_its_own_place_and_tree_only(size: int) -> None:
    for index in range(size):
        proof = prove_inclusion(index, size, LOG.read)
        for other in range(size):
            if other != index:
                assert refused(verify_inclusion, other, size, LEAVES[index], proof, ROOTS[size])
                assert refused(verify_inclusion, index, size, LEAVES[other], proof, ROOTS[size])
        assert refused(verify_inclusion, index, size, LEAVES[index], proof, ROOTS[size - 1])


@pytest.mark.parametrize("new", [2, 3, 7, 8, 64, 100, 130])
def test_a_consistency_proof_holds_for_its_own_sizes_and_roots_only(new: int) -> None:
    for old in range(1, new):
        proof = prove_consistency(old, new, LOG.read)
        assert refused(verify_consistency, old, new, ROOTS[old - 1], ROOTS[new], proof)
        assert refused(verify_consistency, old, new, ROOTS[old], ROOTS[new - 1], proof)
        assert refused(verify_consistency, old, new, ROOTS[new], ROOTS[old], proof)
        assert refused(verify_consistency, new, old, ROOTS[new], ROOTS[old], proof)


@pytest.mark.parametrize(
    ("index", "size"), [(0, 0), (1, 1), (-1, 1), (8, 8), (9, 8)], ids=lambda value: str(value)
)
def test_there_is_no_inclusion_beyond_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError):
        prove_inclusion(index, size, LOG.read)
    assert refused(verify_inclusion, index, size, LEAVES[0], (), ROOTS[1])


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (1, 0)])
def test_a_tree_is_not_consistent_with_a_smaller_one(old: int, new: int) -> None:
    with pytest.raises(ValueError):
        prove_consistency(old, new, LOG.read)
    assert refused(verify_consistency, old, new, ROOTS[abs(old)], ROOTS[new], ())


def test_the_empty_tree_begins_every_tree_and_has_one_root() -> None:
    verify_consistency(0, 5, EMPTY_ROOT, ROOTS[5], ())
    verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, ())
    assert refused(verify_consistency, 0, 5, ROOTS[1], ROOTS[5], ())
    assert refused(verify_consistency, 0, 0, ROOTS[1], ROOTS[1], (bytes(32),))
    assert refused(verify_consistency, 5, 5, ROOTS[5], ROOTS[4], ())
    assert refused(verify_consistency, 0, 0, EMPTY_ROOT, ROOTS[1], ())


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_root_or_leaf_of_another_length_is_refused(length: int) -> None:
    wrong = bytes(length)
    assert refused(verify_inclusion, 0, 1, wrong, (), wrong)
    assert refused(verify_consistency, 1, 1, wrong, wrong, ())


def test_a_proof_is_one_batched_read() -> None:
    calls: list[Sequence[Node]] = []

    def read(nodes: Sequence[Node]) -> list[bytes]:
        calls.append(nodes)
        return LOG.read(nodes)

    prove_inclusion(77, 130, read)
    prove_consistency(77, 130, read)
    assert len(calls) == 2


@pytest.mark.parametrize("change", [lambda hashes: hashes[:-1], lambda hashes: [*hashes, bytes(32)]])
def test_a_reader_that_miscounts_is_found_out(change: Callable[[list[bytes]], list[bytes]]) -> None:
    with pytest.raises(ValueError, match="another number"):
        prove_inclusion(3, 8, lambda nodes: change(LOG.read(nodes)))
