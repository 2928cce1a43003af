"""What may be asked for, and how much it is."""

from __future__ import annotations

import pytest

from gateway.bench import Options, run
from gateway.bench.run import steps


@pytest.mark.parametrize(("rounds", "entries"), [(0, 1), (101, 1), (1, 0)])
def test_refused(rounds: int, entries: int) -> None:
    with pytest.raises(ValueError, match=r"rounds|entries"):
        Options(rounds=rounds, entries=entries)


@pytest.mark.parametrize("rounds", [1, 100])
def test_accepted(rounds: int) -> None:
    assert Options(rounds=rounds, entries=1).turns == rounds


def test_quick_is_less_of_everything_and_never_nothing() -> None:
    whole, quick = Options(), Options(quick=True)
    assert (quick.turns, quick.repeat(1)) == (1, 2)
    assert quick.seconds < whole.seconds
    assert quick.repeat(1000) < whole.repeat(1000) == 1000
    assert quick.verified_entries < whole.verified_entries == whole.entries


def test_a_section_that_does_not_exist_is_refused_before_anything_runs() -> None:
    for refuse in (steps, run):
        with pytest.raises(ValueError, match="no section nothing"):
            refuse(Options(only=("verify", "nothing")))
