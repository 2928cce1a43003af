"""What the ledger says of glasses that were broken: each with its renewal and its review.

The ledger is the queue: a glass whose entry no review names is still to be reviewed, whatever was lost
elsewhere. What cannot be opened any more, as its patient's key was destroyed, is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.core.canon import b64url
from gateway.core.consent.glass import OPEN, Broken, Place, Review, read_open, read_review
from gateway.core.tlog.opened import OpenedEntry

Entries = Callable[[frozenset[str], int], Iterable[OpenedEntry]]
"""The entries of some kinds with an index above another, oldest first. Raises LedgerUnavailable."""


@dataclass(frozen=True, slots=True)
class Case:
    """A glass that was broken, its place in the ledger, and what became of it."""

    broken: Broken
    place: Place
    renewed: bool
    review: Review | None


def cases(entries: Iterable[OpenedEntry]) -> list[Case]:
    """All of them, oldest first. The first review of a glass counts."""
    broken: dict[int, tuple[Broken, Place]] = {}
    reviews: dict[int, Review] = {}
    for entry in entries:
        if entry.kind == OPEN:
            broken[entry.index] = read_open(entry), (entry.index, b64url(entry.leaf_hash))
        else:
            review = read_review(entry)
            reviews.setdefault(review.broken, review)
    renewed = {glass.renews for glass, _ in broken.values()}
    return [
        Case(glass, place, index in renewed, reviews.get(index)) for index, (glass, place) in broken.items()
    ]
