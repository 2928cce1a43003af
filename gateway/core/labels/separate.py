"""What to take out of a record, so that the rest may be shown: as little as the verdicts ask for.

A label is kept if the record may be seen with it and everything kept before; one that has a reason which
cannot be taken out stays in any case. Labels are tried in one order: the same record always loses the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.fhir.scan import Place
from gateway.core.labels.findings import Contribution
from gateway.core.values import Label


def kept_labels(
    contributions: Sequence[Contribution], may_show: Callable[[frozenset[Label]], bool]
) -> frozenset[Label] | None:
    """The labels of what remains; None if nothing that may be shown does. `may_show` says whether the record
    could be seen if these were the labels that were found."""
    whole = frozenset(one.label for one in contributions)
    if may_show(whole):
        return whole
    kept = frozenset(one.label for one in contributions if not one.separable)
    if kept == whole or not may_show(kept):
        return None
    for label in sorted(whole - kept):
        if may_show(kept | {label}):
            kept |= {label}
    return kept


def places_without(contributions: Sequence[Contribution], kept: frozenset[Label]) -> tuple[Place, ...]:
    """The places that have to go so that only the labels `kept` remain."""
    return tuple(dict.fromkeys(one.place for one in contributions if one.label not in kept))
