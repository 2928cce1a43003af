"""Advance directives: the Consents that say how somebody wants to be treated, and nothing of records.

What stays true: no Consent on the disclosure of data passes for a directive, because what is withheld, and
from whom, stands in it. A directive says with each of its categories that it is one, and holds nothing by
which records are told apart. What is not known here makes it none.
Source: FHIR Consent (consent.html), its code systems consentcategorycodes, consentscope and consentaction.
"""

from __future__ import annotations

from typing import Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.elements import codes
from gateway.core.fhir.systems import same_system

_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
_DIRECTIVES: Final = frozenset({"acd", "dnr", "polst"})
_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_OF_CARE: Final = frozenset({"adr", "treatment"})
_DATA_ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
# What a provision on treatment is made of; `data`, `dataPeriod`, `securityLabel`, `class` are about records.
_PROVISION: Final = frozenset({"id", "type", "period", "actor", "action", "purpose", "code", "provision"})

ASKED: Final = (("category", ",".join(f"{_CATEGORY}|{code}" for code in sorted(_DIRECTIVES))),)
"""The search that finds directives. What it finds is looked at all the same."""


def is_directive(consent: Tree) -> bool:
    """Whether a Consent of any release is an advance directive."""
    if type(consent) is not dict:
        return False
    categories, provisions = _listed(consent, "category"), _listed(consent, "provision")
    return (
        bool(categories)
        and all(_says(each, _CATEGORY, _DIRECTIVES) for each in categories)
        and ("scope" not in consent or _says(consent["scope"], _SCOPE, _OF_CARE))  # R5 has none
        and all(_is_on_care(each) for each in provisions)
    )


def _is_on_care(provision: Tree) -> bool:
    if type(provision) is not dict or not provision.keys() <= _PROVISION:
        return False
    actions = [_codes_of(each, _DATA_ACTION) for each in _listed(provision, "action")]
    return all(said == [] for said in actions) and all(
        _is_on_care(each) for each in _listed(provision, "provision")
    )


def _says(concept: Tree, system: str, wanted: frozenset[str]) -> bool:
    """Whether the concept has codes of the system, and only those wanted."""
    said = _codes_of(concept, system)
    return bool(said) and all(code in wanted for code in said or ())


def _codes_of(concept: Tree, system: str) -> list[str | None] | None:
    """The codes of the system in the concept, beside translations; None where that cannot be told."""
    if type(concept) is not dict:
        return None
    said: list[str | None] = []
    for of, code in codes(concept):
        same = None if of is None else same_system(of, system)
        if same is None:
            return None
        if same:
            said.append(code)
    return said


def _listed(node: dict[str, Tree], name: str) -> list[Tree]:
    value = node.get(name, [])
    return value if type(value) is list else [value]
