"""What to take out of a record, so that the rest may be shown: as little as the verdicts ask for.

A label is kept if the record may be seen with it and everything kept before; one that has a reason which
cannot be taken out stays in any case. Labels are tried in one order: the same record always loses the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.consent.labels import LABELS
from gateway.core.fhir.scan import Place, pointer
from gateway.core.fhir.security import Basis
from gateway.core.labels.findings import UNDETERMINED, Contribution
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


def labels_left(
    came: frozenset[Label], contributions: Sequence[Contribution], kept: frozenset[Label]
) -> frozenset[Label]:
    """The labels of what remains of a record that came with the labels `came`. Its level is not among them if
    what is taken out is why it had it: without that, it would have come with the level of the rest."""
    gone = {one.label for one in contributions} - kept - {UNDETERMINED}
    whole = came | kept
    rest = frozenset(label for label in whole if not LABELS.is_level(label))
    said = LABELS.marks(whole - rest).level
    explained = LABELS.marks(rest).level < said <= LABELS.marks(gone).level
    return rest if explained else whole


def told_of(contributions: Sequence[Contribution], cuts: Sequence[Place]) -> tuple[Basis, ...]:
    """The labels of what is shown without the places `cuts`, one reason for each, by the label's code: for
    whoever may know. What nobody can tell is no label."""
    first: dict[Label, str] = {}
    for one in sorted(contributions, key=lambda one: (pointer(one.place), one.basis)):
        named = one.label.system and one.label.code and one.label != UNDETERMINED
        if named and not any(one.place[: len(cut)] == cut for cut in cuts):
            first.setdefault(one.label, f"{one.basis} at {pointer(one.place)}" if one.place else one.basis)
    return tuple(Basis(label, first[label]) for label in sorted(first))
