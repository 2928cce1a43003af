"""Whether a resource satisfies a search term, decided on its JSON: yes, no, or it cannot be told.

Used for the constraints of granular SMART scopes and of consents. What cannot be told is None: a term that
cannot be evaluated here, an element of an unexpected shape, a value that does not say enough. It never
helps: who permits takes it for a no, who forbids for a yes. Composite and special parameters, and
modifiers besides `:exact` (string) and `:not` (token), are not evaluable.
Source: FHIR search.html (R4, R5), Parameter Types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.core.fhir.catalogue import Catalogue, Param
from gateway.core.fhir.elements import values_at
from gateway.core.fhir.matchers import Matcher, any_of, matchers_of
from gateway.core.values import Term

# The parameters that say what a record is about. A record without their element has not said it.
_SAYS_WHAT: Final = frozenset({"code", "combo-code", "vaccine-code"})
_DOCUMENTS: Final = frozenset({"Composition", "DocumentManifest", "DocumentReference"})


def evaluable(catalogue: Catalogue, type_: str, term: Term) -> bool:
    """Whether `tells` can decide `term` on resources of `type_`."""
    return _matchers(catalogue, type_, term) is not None


def satisfies(catalogue: Catalogue, resource: object, term: Term, bases: Sequence[str]) -> bool:
    """Whether one of the term's values surely holds for `resource`; `bases` as in `compartment`."""
    return tells(catalogue, resource, term, bases) is True


def tells(catalogue: Catalogue, resource: object, term: Term, bases: Sequence[str]) -> bool | None:
    """Whether one of the term's values holds for `resource`; None when that cannot be told.

    An absent element matches nothing, except the one that says what the record is about
    (Observation.code): without it nothing can be told. `bases` as in `compartment`.
    """
    type_ = resource.get("resourceType") if isinstance(resource, dict) else None
    found = _matchers(catalogue, type_, term) if isinstance(type_, str) else None
    if found is None:
        return None
    param, matchers = found
    values = [value for path in param.paths for value in values_at(resource, path)]
    answer = any_of(matches(value, bases) for value in values for matches in matchers)
    if term.modifier == "not":
        # FHIR: `:not` holds for resources without the element too; but not for one nobody understands.
        return None if answer is None else not answer
    return None if not values and _says_what(type_, param) else answer


def _says_what(type_: object, param: Param) -> bool:
    return param.name in _SAYS_WHAT or (param.name == "type" and type_ in _DOCUMENTS)


def _matchers(catalogue: Catalogue, type_: str, term: Term) -> tuple[Param, tuple[Matcher, ...]] | None:
    param = catalogue.param(type_, term.name)
    if param is None or not param.paths or not term.values:
        return None
    found = matchers_of("_id" if param.name == "_id" else param.type, term.modifier, term.values)
    return None if found is None else (param, found)
