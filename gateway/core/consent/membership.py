"""Who belongs to whom, as the operator says: departments to organisations, members to groups and care teams.

An asker's identities are closed over it when a request comes in, so membership counts as it stands then. Of
a group that is not listed nobody knows who is in it: whoever asks may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.core.consent.rule import ORGANIZATION


@dataclass(frozen=True, slots=True)
class Membership:
    """`part_of` gives for the id of an organisation that of the one it is part of, `groups` for an identity
    `group:ID` or `careteam:ID` the identities of all its members."""

    part_of: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def closed(self, identities: frozenset[str]) -> frozenset[str]:
        """The identities, and all that they stand for through membership."""
        found: set[str] = set()
        waiting = list(identities)
        while waiting:
            identity = waiting.pop()
            if identity not in found:
                found.add(identity)
                waiting += self._above(identity)
        return frozenset(found)

    def settled(self, is_told: Callable[[str], bool]) -> frozenset[str]:
        """The groups of which it can be told whether somebody is in them: it can be told of every member, as
        `is_told` says of those that are no groups themselves."""
        settled: set[str] = set()
        left = dict(self.groups)
        while sure := [
            group
            for group, members in left.items()
            if all(member in settled or is_told(member) for member in members)
        ]:
            settled.update(sure)
            for group in sure:
                del left[group]
        return frozenset(settled)

    def _above(self, identity: str) -> Iterator[str]:
        kind, _, name = identity.partition(":")
        if kind == ORGANIZATION and name in self.part_of:
            yield f"{ORGANIZATION}:{self.part_of[name]}"
        yield from (group for group, members in self.groups.items() if identity in members)


NOBODY = Membership()
