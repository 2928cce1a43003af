"""A proof passes once, in every process, and is forgotten when its age alone refuses it."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import apsw
import pytest

from gateway.core.smart.dpop import Proof
from gateway.errors import StateUnavailable
from gateway.tokens.used_proofs import LINGER_S, UsedProofs

NOW_S = 1_800_000_000


@pytest.fixture(params=["memory", "file"])
def used(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UsedProofs]:
    made = UsedProofs(tmp_path / "proofs.db" if request.param == "file" else None)
    yield made
    made.close()


def proof(jti: str = "j", key: str = "k", until_s: int = NOW_S + 120) -> Proof:
    return Proof(key, jti, until_s)


def test_the_first_use_is_the_only_one(used: UsedProofs) -> None:
    assert used.first_use(proof(), NOW_S)
    assert not used.first_use(proof(), NOW_S)
    assert not used.first_use(proof(until_s=NOW_S + 121), NOW_S + 1)
    assert not used.first_use(proof(), NOW_S - 10)
    assert all(used.first_use(proof(jti, key), NOW_S) for jti in ("j", "J", "jj") for key in ("l", "m"))


@pytest.mark.parametrize("later_s", [0, 1, 120, 120 + LINGER_S])
def test_it_is_remembered_for_as_long_as_it_could_be_shown(used: UsedProofs, later_s: int) -> None:
    assert used.first_use(proof(), NOW_S)
    assert used.first_use(proof("other", until_s=NOW_S + 999), NOW_S + later_s)
    assert not used.first_use(proof(), NOW_S + later_s)


def test_then_it_is_forgotten(used: UsedProofs) -> None:
    assert used.first_use(proof(), NOW_S)
    assert used.first_use(proof(), NOW_S + 121 + LINGER_S)


def test_it_is_remembered_after_the_process(tmp_path: Path) -> None:
    path = tmp_path / "proofs.db"
    before = UsedProofs(path)
    assert before.first_use(proof(), NOW_S)
    other = UsedProofs(path)
    before.close()
    assert not other.first_use(proof(), NOW_S)
    other.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _open_at(path: Path, at_s: float) -> None:
    while time.time() < at_s:
        pass
    UsedProofs(path).close()


def test_processes_may_start_together(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        pool.submit(int).result()
        for turn in range(20):
            at_s = time.time() + 0.01
            starts = [pool.submit(_open_at, tmp_path / f"{turn}.db", at_s) for _ in range(3)]
            assert [start.result() for start in starts] == [None] * 3


def _try_all(path: Path) -> list[bool]:
    used = UsedProofs(path)
    try:
        return [used.first_use(proof(str(number)), NOW_S) for number in range(300)]
    finally:
        used.close()


def test_of_several_processes_at_once_one_is_the_first(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        answers = list(pool.map(_try_all, [tmp_path / "proofs.db"] * 3))
    assert [sum(firsts) for firsts in zip(*answers, strict=True)] == [1] * 300


def test_a_file_that_cannot_be_used_lets_nothing_pass(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable):
        UsedProofs(tmp_path / "missing" / "proofs.db")
    used = UsedProofs(tmp_path / "proofs.db")
    other = apsw.Connection(str(tmp_path / "proofs.db"))
    other.execute("DROP TABLE used_proof")
    other.close()
    with pytest.raises(StateUnavailable):
        used.first_use(proof(), NOW_S)
    used.close()
