"""No byte is given out twice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway import entropy


@pytest.mark.parametrize("count", [0, 1, 16, entropy.PIECE, entropy.PIECE + 1])
def test_gives_as_many_as_asked_for(count: int) -> None:
    assert len(entropy.random_bytes(count)) == count


def test_nothing_repeats_within_and_across_pieces_and_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: entropy.random_bytes(16), range(4000)))
    assert len(set(taken)) == len(taken)


def test_a_child_process_has_bytes_of_its_own() -> None:
    entropy.random_bytes(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, entropy.random_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 16) != entropy.random_bytes(16)
