"""What a study may ask: searches by what is shown of records, and by nothing that could tell whose they are.

Unknown means no: a parameter that is not in the table is refused, and so is a scope with one in its
constraints. A pseudonym leads nowhere, so single records are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.core.values import FhirRequest, Interaction, Scope, Term, Token

PARAMETERS: Final[Mapping[str, frozenset[str]]] = {
    "Observation": frozenset(
        {
            *("status", "category", "code", "component-code", "combo-code", "method"),
            *("value-concept", "component-value-concept", "combo-value-concept"),
            *("value-quantity", "component-value-quantity", "combo-value-quantity"),
            *("data-absent-reason", "component-data-absent-reason", "combo-data-absent-reason"),
        }
    ),
    "Condition": frozenset(
        {"clinical-status", "verification-status", "category", "severity", "code", "body-site", "stage"}
    ),
    "Procedure": frozenset({"status", "category", "code", "reason-code"}),
    "MedicationRequest": frozenset({"status", "intent", "category", "priority", "code"}),
}
"""The search parameters of a study by type: what they look at is a code or a quantity that may be shown."""


def refusal(request: FhirRequest, grants: Iterable[Scope], token: Token) -> str | None:
    """Why a study does not get this, in words for the caller; None: it may be asked."""
    kind = request.type or ""
    if request.interaction is not Interaction.SEARCH:
        return "A study searches; it does not read single records."
    if token.patient is not None or token.consents is not None:
        return "The token of a study is for no patient or consent in particular."
    if request.sort:
        return "The records of a study are not sorted."
    for term in request.terms:
        if not _is_open(kind, term):
            return f"A study does not search {kind} by {term.key}."
    if not all(_is_open(kind, term) for scope in grants for term in scope.constraints):
        return "A scope of this token is limited by what a study does not search by."
    return None


def _is_open(kind: str, term: Term) -> bool:
    return term.name in PARAMETERS.get(kind, ()) and term.modifier in (None, "not")
