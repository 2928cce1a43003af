"""What the rules of several patients name together: of a record that is theirs, or nobody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

_T = TypeVar("_T")

_FEW: Final = 50  # patients whose consents are looked through for what they name
_KEPT: Final = 4096  # kinds of owners remembered; one who asks about more forgets and starts again


def together(
    owners: frozenset[str],
    patients: frozenset[str],
    of: Callable[[str], frozenset[_T]],
    known: dict[frozenset[str], frozenset[_T]],
) -> frozenset[_T]:
    """What `of` gives for each of the owners, remembered in `known`; `patients` are those of the plan."""
    if owners and owners.isdisjoint(patients):
        return frozenset()  # a stranger's record costs no more than one that is not there
    found = known.get(owners)
    if found is None:
        # A record of nobody's is opened by any patient's consents; of very many, few can be read for it.
        found = frozenset().union(*map(of, sorted(owners or patients)[:_FEW]))
        if len(known) >= _KEPT:
            known.clear()
        known[owners] = found
    return found
