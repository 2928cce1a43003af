"""Rules as short texts, and the gateway that reads them, for cases as data.

    permit{actors organization:org-a; purposes TREAT}[deny{labels HIV}] ..2026-12-31T23:59:59Z

Dimensions come in the order of `Match`, values sorted; a label is `system|code`, data are `meaning Type/id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.core.consent.fhir.read import read
from gateway.core.consent.fhir.terms import Outcome, Terms
from gateway.core.consent.rule import ALWAYS, Consent, DataRef, Match, Node, Period
from gateway.core.fhir.catalogue import Release
from gateway.core.values import Label, Scope

CASES: Final = Path(__file__).parent / "cases"
BASE: Final = "https://gw.example/fhir"
TYPES: Final = frozenset(
    {"Patient", "Observation", "Condition", "Encounter", "Practitioner", "MedicationRequest", "CarePlan"}
)


def cases(name: str) -> list[Any]:
    """The cases of a file: each with its `name`, its `release`, and the Consent over a plain one."""
    return json.loads((CASES / f"{name}.json").read_text())  # type: ignore[no-any-return]


def resource(release: Release, over: dict[str, Any]) -> dict[str, Any]:
    """A Consent that the patient pat-a agreed to, with what a case says; None takes a member away."""
    plain = PLAIN_R5 if release == "R5" else PLAIN_R4
    return {name: value for name, value in {**plain, **over}.items() if value is not None}


PLAIN_R4: Final = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
        ]
    },
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "patient": {"reference": "Patient/pat-a"},
    "dateTime": "2026-05-01",
    "performer": [{"reference": "Patient/pat-a"}],
}
PLAIN_R5: Final = {
    "resourceType": "Consent",
    "status": "active",
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "subject": {"reference": "Patient/pat-a"},
    "date": "2026-05-01",
    "grantor": [{"reference": "Patient/pat-a"}],
}


def may_agree(person: str, patient: str, at_s: int | None) -> bool:
    """`mother` acts for pat-a until the end of 2026."""
    return (person, patient) == ("mother", "pat-a") and (at_s is None or at_s < 1_798_761_600)


def outcome(release: Release, over: dict[str, Any], **settings: Any) -> Outcome:
    terms = Terms((BASE, "http://hapi.example/fhir"), TYPES, may_agree, **settings)
    return read(resource(release, over), release, "c-1", terms)


def said(consent: Consent) -> str:
    marks = [name for name in ("indeterminate", "malformed") if getattr(consent, name)]
    span = [] if consent.period == ALWAYS else [_span(consent.period)]
    return " ".join([_node(consent.root), *span, *marks])


def _node(node: Node) -> str:
    parts = (_part(field.name, getattr(node.match, field.name)) for field in fields(Match))
    inner = ", ".join(map(_node, node.exceptions))
    return f"{node.effect}{{{'; '.join(filter(None, parts))}}}{f'[{inner}]' if inner else ''}"


def _part(name: str, value: object) -> str:
    match value:
        case None | False | () | Period(from_s=None, until_s=None):
            return ""
        case True:
            return name
        case Period():
            return f"{name} {_span(value)}"
        case tuple() | frozenset():
            return f"{name} {' '.join(_values(value))}" if value else ""
        case _:
            raise AssertionError(value)


def _values(values: Iterable[object]) -> list[str]:
    return sorted(map(_value, values))


def _value(value: object) -> str:
    match value:
        case Label():
            return f"{value.system}|{value.code}"
        case DataRef():
            return f"{value.meaning} {value.ref}"
        case Scope():
            return value.text
        case _:
            return str(value)


def _span(period: Period) -> str:
    return "..".join("" if end is None else _time(end) for end in (period.from_s, period.until_s))


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
