"""Which entries of a group are new, and the index of each: the rules of appending, without a store.

A nonce that is present keeps its index, within a group as well. A batch is taken whole or refused
whole. Numbers have no gaps, so they are given only after all refusals are known. An entry whose time
is not about now is refused unless it is present, so remembering the nonces of the last seconds is
enough to append nothing twice, ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.ledger.store import Batch, EntryRefused, SealedEntry

MAX_SKEW_S = 5
# How long a retry still gets its index; twice MAX_SKEW_S at least, as an entry may be dated ahead.
REMEMBERED_S = 30

Outcome = list[int] | EntryRefused


class RecentNonces:
    """The index of each nonce of the last REMEMBERED_S, by the second of its entry."""

    def __init__(self) -> None:
        self._seconds: dict[int, dict[bytes, int]] = {}

    def add(self, at_s: int, nonce: bytes, index: int) -> None:
        self._seconds.setdefault(at_s, {})[nonce] = index

    def index(self, entry: SealedEntry) -> int | None:
        second = self._seconds.get(entry.at_s)
        return None if second is None else second.get(entry.nonce)

    def forget_before(self, at_s: int) -> None:
        for second in [s for s in self._seconds if s < at_s]:
            del self._seconds[second]


def number(
    batches: Sequence[Batch],
    start: int,
    now_s: int,
    recent: RecentNonces,
    leaf_at: Callable[[int], bytes],
) -> tuple[list[Outcome], list[SealedEntry]]:
    """The outcome of each batch, and the entries to append from index `start` on, in order.

    New nonces are added to `recent`; `leaf_at` reads the leaf of an older index.
    """
    fresh: list[SealedEntry] = []
    outcomes: list[Outcome] = []

    def leaf(index: int) -> bytes:
        return leaf_at(index) if index < start else fresh[index - start].leaf

    for batch in batches:
        known = [recent.index(entry) for entry in batch]
        refusal = _refusal(batch, known, leaf, now_s)
        if refusal is not None:
            outcomes.append(refusal)
            continue
        indexes: list[int] = []
        for entry, index in zip(batch, known, strict=True):
            if index is None:
                index = start + len(fresh)
                fresh.append(entry)
                recent.add(entry.at_s, entry.nonce, index)
            indexes.append(index)
        outcomes.append(indexes)
    return outcomes, fresh


def _refusal(
    batch: Batch, known: Sequence[int | None], leaf: Callable[[int], bytes], now_s: int
) -> EntryRefused | None:
    if len(batch) > 1 and len({entry.nonce for entry in batch}) < len(batch):
        return EntryRefused("A batch holds one nonce twice; nothing was recorded.")
    for entry, index in zip(batch, known, strict=True):
        if index is not None and leaf(index) != entry.leaf:
            return EntryRefused("A nonce was used for two different entries; nothing was recorded.")
        if index is None and abs(entry.at_s - now_s) > MAX_SKEW_S:
            return EntryRefused(
                f"The entry's time and the ledger's clock are {abs(entry.at_s - now_s)} s apart, more than "
                f"the {MAX_SKEW_S} s allowed; nothing was recorded now. Check the clocks."
            )
    return None
