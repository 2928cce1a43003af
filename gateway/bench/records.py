"""The records of the run: a patient of about 2 kB, results of about 1.2 kB, and panels of about 3 kB.

Compact JSON such as servers send; a page of 50 has results, one of 1000 has panels. Each resource carries
a mark in its version that `Template` fills in, so that a page can be new to the gateway each time at the
cost of joining bytes.
"""

from __future__ import annotations

import json
from typing import Any, Final

PATIENT: Final = "pat-bench"
MARK: Final = "########"
"""Where the version of a resource goes, 8 characters."""
ENCOUNTERS: Final = 5
PANEL: Final = 8
"""The parts of a panel; a page of more than `RESULTS` entries has panels."""
RESULTS: Final = 100


class Template:
    """Bytes with places for a number of 8 digits."""

    def __init__(self, marked: str) -> None:
        self._parts = marked.encode().split(MARK.encode())

    def numbered(self, number: int) -> bytes:
        return (b"%08d" % number).join(self._parts)


def patient() -> str:
    names = [{"use": "official", "family": "Bench", "given": ["Paula", "Ann"]}]
    address = {
        "use": "home",
        "line": ["12 Long Lane", "Second floor"],
        "city": "Springfield",
        "postalCode": "01101",
        "country": "US",
        "period": {"start": "2010-01-01"},
    }
    telecom = [
        {"system": system, "value": f"{system}-555-01{i}", "use": "home"}
        for i, system in enumerate(("phone", "email", "sms"))
    ]
    return _json(
        {
            "resourceType": "Patient",
            "id": PATIENT,
            "meta": _meta(),
            "text": _text("Paula Ann Bench, born 1970-01-01", 680),
            "identifier": [
                {"use": "usual", "system": f"https://hospital.example/id/{i}", "value": f"000{i}"}
                for i in range(5)
            ],
            "active": True,
            "name": names,
            "telecom": telecom,
            "gender": "female",
            "birthDate": "1970-01-01",
            "address": [address, {**address, "use": "old", "period": {"end": "2009-12-31"}}],
            "maritalStatus": {"text": "married"},
            "communication": [{"language": {"text": "English"}, "preferred": True}],
        }
    )


def observation(number: int, *, named_encounter: bool) -> dict[str, Any]:
    """A laboratory result. With `named_encounter` its encounter is not only referred to but named, so
    that the gateway must find out whether the reader may see that encounter."""
    encounter = {"reference": f"Encounter/enc-{number % ENCOUNTERS}"}
    quantity = {"unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}
    return {
        "resourceType": "Observation",
        "id": f"obs-{number}",
        "meta": _meta(),
        "text": _text(f"Glucose in blood, result {number}", 140),
        "status": "final",
        "category": [_coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
        "code": _coded("http://loinc.org", "15074-8"),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "encounter": encounter | ({"display": "Check-up"} if named_encounter else {}),
        "effectiveDateTime": "2025-02-03T08:20:00+01:00",
        "issued": "2025-02-03T09:00:00.000+01:00",
        "performer": [{"reference": "Organization/org-laboratory"}],
        "valueQuantity": {"value": number / 10, **quantity},
        "referenceRange": [{"low": {"value": 3.9, **quantity}, "high": {"value": 5.5, **quantity}}],
    }


def panel(number: int, *, named_encounter: bool) -> dict[str, Any]:
    """A laboratory result with parts, each a coded quantity."""
    quantity = {"unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}
    parts = [
        {
            "code": _coded("http://loinc.org", f"{20000 + i}-1"),
            "valueQuantity": {"value": number / 10, **quantity},
        }
        for i in range(PANEL)
    ]
    single = observation(number, named_encounter=named_encounter)
    return {**single, "text": _text(f"Panel {number}", 400), "component": parts}


def observations(count: int, base_url: str, *, named_encounters: bool) -> str:
    """A searchset of `count` observations of the patient, as the server at `base_url` would send it."""
    make = observation if count <= RESULTS else panel
    found = [make(i, named_encounter=named_encounters) for i in range(count)]
    return _searchset(found, base_url, "Observation")


def encounters(base_url: str) -> str:
    """A searchset of the encounters that observations name."""
    found = [
        {
            "resourceType": "Encounter",
            "id": f"enc-{i}",
            "meta": _meta(),
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": f"Patient/{PATIENT}"},
        }
        for i in range(ENCOUNTERS)
    ]
    return _searchset(found, base_url, "Encounter")


def _searchset(resources: list[dict[str, Any]], base_url: str, kind: str) -> str:
    entries = [
        {"fullUrl": f"{base_url}/{kind}/{r['id']}", "resource": r, "search": {"mode": "match"}}
        for r in resources
    ]
    return _json({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})


def _meta() -> dict[str, Any]:
    return {"versionId": MARK, "lastUpdated": "2025-02-03T09:00:00.000+00:00"}


def _text(words: str, length: int) -> dict[str, str]:
    """Narrative, as servers generate it from the rest."""
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words:.<{length}}</p></div>',
    }


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": code}], "text": code}


def _json(tree: dict[str, Any]) -> str:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)
