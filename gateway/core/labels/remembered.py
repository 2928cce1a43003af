"""What records say of themselves, remembered: one that is read again is not labelled again.

A record is known by the line of its facts, in which the digest of its bytes stands; the tables and settings
are those of one labeller, so another mapping is another memory.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from gateway.core.fhir.candidate import Content
from gateway.core.fhir.facts import Facts
from gateway.core.labels.findings import PART_2, Found
from gateway.core.labels.labeller import Labeller

MAX_NOTES: Final = 200_000  # contributions and references, about 300 bytes each
HEAVIEST: Final = 2_000  # those of a record that is labelled anew each time

_MADE: Final = 50_000  # records of which it is remembered who made them, no more


class Labelling:
    """`Labeller.found` for one upstream. Keeps up to `capacity` notes; the oldest half goes when full."""

    def __init__(self, labeller: Labeller, capacity: int = MAX_NOTES) -> None:
        self._labeller, self._capacity = labeller, capacity
        self._known: dict[str, Found] = {}
        self._made: dict[str, Found] = {}
        self._notes = 0
        # Whether records can fall under 42 CFR Part 2 here, whether or not a rule looks at labels.
        self.has_programmes = labeller.has_programmes

    @property
    def classifier(self) -> str:
        """Who finds these labels, and by which tables: what a label is told with."""
        return f"Consentry, mappings sha256:{self._labeller.digest}"

    def found(self, facts: Facts, content: Content) -> Found:
        """What the record with these facts says of itself; `content` is asked only if it is not known."""
        found = self._known.get(facts.line)
        if found is None:
            found = self._labeller.found(facts.type, content(), facts.owners)
            self._keep(facts.line, found)
        return found

    def programme(self, facts: Facts, content: Content) -> Found:
        """Of what the record says of itself, whether a programme under 42 CFR Part 2 made it."""
        found = self._known.get(facts.line) or self._made.get(facts.line)
        if found is None:
            found = self._labeller.programme(facts.type, content())
            if len(self._made) >= _MADE:
                self._made.clear()
            self._made[facts.line] = found
        return Found(
            tuple(one for one in found.contributions if one.label == PART_2),
            tuple(edge for edge in found.edges if edge.programme),
        )

    def _keep(self, line: str, found: Found) -> None:
        added = _weight(found)
        if added > min(HEAVIEST, self._capacity):
            return
        while self._notes + added > self._capacity:
            for old in list(islice(self._known, (len(self._known) + 1) // 2)):
                self._notes -= _weight(self._known.pop(old))
        self._known[line] = found
        self._notes += added


def _weight(found: Found) -> int:
    return 1 + len(found.contributions) + len(found.edges)
