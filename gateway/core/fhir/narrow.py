"""What is added to a search, so that the upstream finds no more than may be seen, as far as a query can say.

An aid and no boundary: whatever the upstream answers is judged record by record all the same.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from gateway.core.fhir.catalogue import TypeAccess
from gateway.core.fhir.directive import ASKED
from gateway.core.values import Scope, Term

Pairs = tuple[tuple[str, str], ...]


def to_patients(access: TypeAccess, patients: Set[str], limit: int = 50) -> Pairs:
    """The compartment parameter of a type, for at most `limit` patients: as many as one query carries."""
    if access.kind != "compartment" or access.narrow is None or not 0 < len(patients) <= limit:
        return ()
    prefix = "" if access.narrow == "_id" else "Patient/"
    return ((access.narrow, ",".join(prefix + patient for patient in sorted(patients))),)


def to_served(access: TypeAccess) -> Pairs:
    """What the records of a type meet of which not all are served."""
    return ASKED if access.only == "directives" else ()


def to_constraints(grants: Sequence[Scope]) -> Pairs:
    """The granular constraints, when one query can say them: all of a single scope, or one same parameter
    of each."""
    if not grants or any(not scope.constraints for scope in grants):
        return ()
    if len(grants) == 1:
        return tuple((term.key, term.text) for term in grants[0].constraints)
    names = {tuple(term.key for term in scope.constraints) for scope in grants}
    if len(names) != 1 or len(only := names.pop()) != 1:
        return ()
    return ((only[0], ",".join(scope.constraints[0].text for scope in grants)),)


def to_values(term: Term | None, limit: int = 50) -> Pairs:
    """A term that all records meet which may be seen, if it has at most `limit` values."""
    return ((term.key, term.text),) if term is not None and len(term.values) <= limit else ()
