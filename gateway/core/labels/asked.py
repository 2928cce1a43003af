"""Whether a search looks at what was taken out of a record: then the record would tell of it by being found.

The record goes, found or not: a term that excludes, and an order, tell as much as one that includes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.scan import Place
from gateway.core.labels.steps import Names, names_of
from gateway.core.values import FhirRequest


def looks_at(request: FhirRequest, catalogue: Catalogue, places: Sequence[Place]) -> bool:
    """Whether a term or the order of the search depends on one of the `places`. A parameter that says no
    paths may look anywhere."""
    if not places:
        return False
    kind = request.type or ""
    asked = [*(term.name for term in request.terms), *(name.removeprefix("-") for name in request.sort)]
    cuts = [names_of(place) for place in places]
    for name in asked:
        paths = list(_paths(name, kind, catalogue))
        if not paths or any(_overlap(path, cut) for path in paths for cut in cuts):
            return True
    return False


def _paths(name: str, kind: str, catalogue: Catalogue) -> Iterator[Names]:
    param = catalogue.param(kind, name)
    if param is None:
        return
    for path in param.paths:
        yield tuple(step.name for step in path.steps)
    for component in param.components:
        yield from _paths(component, kind, catalogue)


def _overlap(one: Names, other: Names) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
