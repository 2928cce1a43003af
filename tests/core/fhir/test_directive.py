"""Which Consents are advance directives: of each that is one, near misses that are none."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from gateway.core.fhir.directive import ASKED, is_directive
from gateway.core.fhir.match import tells
from gateway.core.values import Term
from gateway.mapping import load_catalogue
from tests.core.deciding import BASES

CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
LOINC: Final = "http://loinc.org"
ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
LABEL: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}


def concept(*codings: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


DNR: Final = {"category": [concept((CATEGORY, "dnr"))]}
ARE: Final[dict[str, dict[str, Any]]] = {
    "advance care": {"category": [concept((CATEGORY, "acd"))]},
    "no resuscitation": DNR,
    "life-sustaining treatment": {"category": [concept((CATEGORY, "polst"))]},
    "by https": {"category": [concept((CATEGORY.replace("http:", "https:"), "dnr"))]},
    "translated": {"category": [concept((LOINC, "84095-9"), (CATEGORY, "dnr"))]},
    "two kinds": {"category": [concept((CATEGORY, "dnr")), concept((CATEGORY, "polst"))]},
    "R4": {**DNR, "scope": concept((SCOPE, "adr"))},
    "R4 for treatment": {**DNR, "scope": concept((SCOPE, "treatment"))},
    "R4 provision": {
        **DNR,
        "provision": {
            "type": "deny",
            "period": {"start": "2025"},
            "code": [concept(("http://snomed.info/sct", "89666000"))],
            "actor": [{"role": {"text": "agent"}, "reference": {"reference": "Practitioner/1"}}],
            "provision": [{"type": "permit", "purpose": [{"code": "TREAT"}]}],
        },
    },
    "R5 provisions": {**DNR, "decision": "deny", "provision": [{"code": [concept((LOINC, "1"))]}, {}]},
    "action of another system": {**DNR, "provision": {"action": [concept(("http://h.example/a", "treat"))]}},
    "action in words": {**DNR, "provision": {"action": [{"text": "resuscitate"}]}},
}
NONE: Final[dict[str, Any]] = {
    "no object": ["dnr"],
    "no category": {},
    "empty": {"category": []},
    "null": {"category": [None]},
    "privacy": {"category": [concept((LOINC, "59284-0"))]},
    "other category": {"category": [concept((CATEGORY, "npp"))]},
    "one more": {"category": [concept((CATEGORY, "dnr")), concept((CATEGORY, "npp"))]},
    "one more elsewhere": {"category": [concept((CATEGORY, "dnr")), concept((LOINC, "59284-0"))]},
    "one more coding": {"category": [concept((CATEGORY, "dnr"), (CATEGORY, "npp"))]},
    "words": {"category": [{"text": "dnr"}]},
    "no system": {"category": [{"coding": [{"code": "dnr"}]}]},
    "other system": {"category": [concept((SCOPE, "dnr"))]},
    "system by number": {"category": [concept((CATEGORY, "dnr"), ("urn:oid:1.2.3", "x"))]},
    "other case": {"category": [concept((CATEGORY, "DNR"))]},
    "masked code": {"category": [{"coding": [{"system": CATEGORY, "_code": {"id": "1"}}]}]},
    "privacy by scope": {**DNR, "scope": concept((SCOPE, "patient-privacy"))},
    "research by scope": {**DNR, "scope": concept((SCOPE, "research"))},
    "both scopes": {**DNR, "scope": concept((SCOPE, "adr"), (SCOPE, "patient-privacy"))},
    "scope in words": {**DNR, "scope": {"text": "adr"}},
    "scope null": {**DNR, "scope": None},
    "provision null": {**DNR, "provision": None},
    "provisions null": {**DNR, "provision": [None]},
    "labels": {**DNR, "provision": {"securityLabel": [LABEL]}},
    "labels below": {**DNR, "provision": {"provision": [{"provision": [{"securityLabel": [LABEL]}]}]}},
    "labels in R5": {**DNR, "provision": [{}, {"securityLabel": [LABEL]}]},
    "data": {**DNR, "provision": {"data": [{"meaning": "instance", "reference": {"reference": "List/1"}}]}},
    "dates of data": {**DNR, "provision": {"dataPeriod": {"start": "2020"}}},
    "types": {**DNR, "provision": {"class": [{"code": "Condition"}]}},
    "types in R5": {**DNR, "provision": [{"resourceType": [{"code": "Condition"}]}]},
    "documents in R5": {**DNR, "provision": [{"documentType": [{"code": "x"}]}]},
    "expression": {**DNR, "provision": [{"expression": {"language": "text/fhirpath"}}]},
    "extension": {**DNR, "provision": {"extension": [{"url": "http://h.example/x", "valueCode": "HIV"}]}},
    "disclosure": {**DNR, "provision": {"action": [concept((ACTION, "disclose"))]}},
    "disclosure below": {**DNR, "provision": {"provision": [{"action": [concept((ACTION, "access"))]}]}},
    "action null": {**DNR, "provision": {"action": [None]}},
}


@pytest.mark.parametrize("consent", ARE.values(), ids=ARE)
def test_a_directive(consent: dict[str, Any]) -> None:
    assert is_directive(consent)
    assert is_directive({"resourceType": "Consent", "id": "1", "status": "active", **consent})


@pytest.mark.parametrize("consent", NONE.values(), ids=NONE)
def test_none(consent: Any) -> None:
    assert not is_directive(json.loads(json.dumps(consent)))


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
def test_the_search_finds_directives(release: Any) -> None:
    ((name, values),) = ASKED
    catalogue, term = load_catalogue(release), Term(name, tuple(values.split(",")))
    for said, found in ((DNR, True), (NONE["privacy"], False), (NONE["other category"], False)):
        consent = {"resourceType": "Consent", "id": "1", **said}
        assert tells(catalogue, consent, term, BASES.both) is found
