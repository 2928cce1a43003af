"""What a run of the benchmark is asked for, and how much of everything that means.

`quick` keeps every row and shortens each measurement until the figures mean little: it shows that the
benchmark works, on any machine, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class Options:
    """`only` are names of sections, none for all; `folder` lies on the disk to measure (None: the
    system's temporary folder); `entries` is the size of the ledger to verify. Raises ValueError."""

    rounds: int = 5
    quick: bool = False
    only: tuple[str, ...] = ()
    entries: int = 100_000
    folder: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= MAX_ROUNDS:
            raise ValueError(f"there are 1 to {MAX_ROUNDS} rounds")
        if self.entries < 1:
            raise ValueError("a ledger to verify has entries")

    @property
    def turns(self) -> int:
        """How many times each measurement is repeated; the median is reported."""
        return 1 if self.quick else self.rounds

    @property
    def seconds(self) -> float:
        """How long one turn of requests is counted, after the warm-up."""
        return 0.15 if self.quick else 1.5

    @property
    def warm_up_s(self) -> float:
        return 0.05 if self.quick else 0.3

    @property
    def verified_entries(self) -> int:
        return min(self.entries, 1000) if self.quick else self.entries

    def repeat(self, times: int) -> int:
        """`times`, or enough of them to see that the thing works."""
        return max(times // 50, 2) if self.quick else times
