"""What a search may find records by of which a part is not shown: nothing but the rest.

A record goes that a term or an order finds by what was taken out of it: by being found it would tell of it.
By a term that excludes it would tell by not being found, so where something may be taken out the upstream is
not asked such a term: it is looked at in what is left, where a record without the part meets it like one that
never had it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place
from gateway.core.labels.steps import Names, names_of
from gateway.core.values import FhirRequest, Term


def excluding(request: FhirRequest) -> tuple[Term, ...]:
    """The terms of a search that leave out what has one of their values."""
    return tuple(term for term in request.terms if term.modifier == "not")


def looks_at(
    request: FhirRequest, catalogue: Catalogue, places: Sequence[Place], unasked: Sequence[Term] = ()
) -> bool:
    """Whether a term that the upstream was asked, which `unasked` were not, or the order of the search
    depends on one of the `places`. A parameter that says no paths may look anywhere."""
    if not places:
        return False
    kind = request.type or ""
    terms = (term.name for term in request.terms if term not in unasked)
    asked = [*terms, *(name.removeprefix("-") for name in request.sort)]
    cuts = [names_of(place) for place in places]
    for name in asked:
        paths = list(_paths(name, kind, catalogue))
        if not paths or any(_overlap(path, cut) for path in paths for cut in cuts):
            return True
    return False


def is_excluded(terms: Sequence[Term], catalogue: Catalogue, rest: Tree, bases: Sequence[str]) -> bool:
    """Whether what is left of a record surely has a value that one of the terms leaves out. As for an
    upstream, one of which that cannot be told has it not."""
    return any(match.tells(catalogue, rest, term, bases) is False for term in terms)


def without(node: Tree, places: Sequence[Place]) -> Tree:
    """The record, or what is below one of its nodes, without the places. As where they are cut out, a name
    leads through lists, what is of an unexpected shape goes whole, and so does what is left empty."""
    if not places:
        return node
    if type(node) is dict:
        kept = {name: (value, _below(name, places)) for name, value in node.items()}
    elif type(node) is list:
        named = [place for place in places if type(place[0]) is str]
        kept = {at: (value, [*_below(at, places), *named]) for at, value in enumerate(node)}
    else:
        return None
    left = {key: without(value, below) for key, (value, below) in kept.items() if () not in below}
    whole = {key: value for key, value in left.items() if value not in (None, {}, []) or not kept[key][1]}
    if type(node) is dict:
        return whole
    return list(whole.values())


def _below(step: str | int, places: Sequence[Place]) -> list[Place]:
    return [place[1:] for place in places if place[0] == step]


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
