"""Who rules are about as authors of records, and how a record may come to be judged once that is read.

What Provenance says of a record is read only if a judgement hangs on it: so the record is judged as it is
known, and as it would be at best. A hope decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from typing import Final, NamedTuple, TypeAlias

from gateway.core.values import Ref

Agents: TypeAlias = Sequence[object]
"""Those who had a part in a record, as References; None stands for one that cannot be read."""

AgentsFor: TypeAlias = Callable[[Ref], Agents | None]
"""Who made a record by what Provenance says, for a rule about this author; None if it was not read."""

SOMEBODY: Final = {"reference": "Nobody/-"}
"""An agent whom no rule can mean: there is no such type."""


_TRIED: Final = 4  # people of permits and denies, of whom each choice is tried


class Author(NamedTuple):
    """Somebody whom a permit or a deny is about as the author of records."""

    ref: Ref
    denies: bool


def not_told(_author: Ref) -> None:
    """`AgentsFor` where no Provenance was read."""


def as_told(agents: Agents, _author: Ref) -> Agents:
    """`AgentsFor` where all Provenance of the record was read."""
    return agents


def hopes(authors: Collection[Author]) -> frozenset[frozenset[Ref]]:
    """Whom to take for a record's authors so that it may be seen if it can be: those of the permits. Those of
    a permit and a deny are tried as both; of very many, the last ones only as authors."""
    permitted = frozenset(author.ref for author in authors if not author.denies)
    denied = {author.ref for author in authors if author.denies}
    both = sorted(permitted & denied, key=str)[:_TRIED]
    left_out = [gone for number in range(len(both) + 1) for gone in combinations(both, number)]
    return frozenset(permitted - set(gone) for gone in left_out)


def as_hoped(hope: frozenset[Ref], author: Ref) -> Agents:
    """`AgentsFor` under one of `hopes`."""
    return ({"reference": str(author)} if author in hope else SOMEBODY,)
