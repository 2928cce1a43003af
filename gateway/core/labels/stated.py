"""Labels that a record says it has: in `meta.security`, in an element for labels, in the place of a code.

What stays true: what is sensitive, or more than normally confidential, is counted, whatever the spelling of
HL7's systems.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from gateway.core.consent.labels import LABELS, NORMAL
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.meta import LABEL_ELEMENTS, labels_on
from gateway.core.fhir.scan import Place
from gateway.core.labels.findings import Contribution
from gateway.core.labels.places import TypePlaces
from gateway.core.values import Label


def labels_given(tree: dict[str, Tree], start: Place) -> Iterator[Contribution]:
    """The labels that the resource at `start` came with. They are of the whole."""
    for label in sorted(labels_on(tree)):
        if _keeps_apart(label):
            yield Contribution(label, start, False, "a label that it came with")


def labels_coded(
    places: TypePlaces, system: str | None, code: str, place: Place, start: Place
) -> Iterator[Contribution]:
    """The label that the coding at `place` is, as a tag or a category may be."""
    if system is not None and place[0] not in LABEL_ELEMENTS and _is_label(system, code):
        cut = places.separable_at(place)
        whole = (*start, *(place if cut is None else cut[1]))
        yield Contribution(Label(system, code), whole, cut is not None, "a label in it")


@functools.lru_cache(maxsize=1024)
def _keeps_apart(label: Label) -> bool:
    """Whether the label is of something sensitive, or makes a record more than normal."""
    marks = LABELS.marks([label])
    return bool(marks.sensitivities or marks.foreign) or marks.level > NORMAL


@functools.lru_cache(maxsize=4096)
def _is_label(system: str, code: str) -> bool:
    """Whether the coding is such a label, and one that is known: the systems have other codes too."""
    if not LABELS.is_own(system):
        return False
    marks = LABELS.marks([Label(system, code)])
    return bool(marks.sensitivities) or (marks.level > NORMAL and not marks.foreign)
