"""Codes that may leave in a study: those of systems that everybody has, each in the form of its system.

A code of a house's own may be anything, a patient's number too; so it leaves only if the study names it. What
a code means, its system says: displays and texts are free text, and never leave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

UCUM: Final = "http://unitsofmeasure.org"

_ICD: Final = r"[A-TV-Z]\d[0-9A-Z](?:\.?[0-9A-Z]{1,4})?"
_FORMS: Final[Mapping[str, str]] = {
    "http://loinc.org": r"(?:L[AP])?\d{1,8}-\d",
    "http://snomed.info/sct": r"\d{6,18}",
    "http://www.nlm.nih.gov/research/umls/rxnorm": r"\d{1,8}",
    "http://hl7.org/fhir/sid/icd-10": _ICD,
    "http://hl7.org/fhir/sid/icd-10-cm": _ICD,
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": _ICD,
    "http://fhir.de/CodeSystem/dimdi/icd-10-gm": _ICD,
    "http://www.cms.gov/Medicare/Coding/ICD10": r"[0-9A-HJ-NP-Z]{7}",
    "http://www.ama-assn.org/go/cpt": r"\d{4}[0-9A-Z]",
    "http://www.whocc.no/atc": r"[A-Z](?:\d\d(?:[A-Z](?:[A-Z](?:\d\d)?)?)?)?",
    "http://hl7.org/fhir/sid/cvx": r"\d{1,3}",
    "http://hl7.org/fhir/sid/ndc": r"\d{4,6}-?\d{3,4}-?\d{1,2}",
    # Parts of a unit in braces are words of one's own choice (UCUM section 6); one is in use everywhere.
    UCUM: r"(?:[A-Za-z0-9%\[\]'*/.^+_-]|\{[a-z#/ ]{1,16}\}|\{1\.73_m2\}){1,32}",
}
_KNOWN: Final = {system: re.compile(form, re.ASCII) for system, form in _FORMS.items()}
_HL7: Final = re.compile(
    r"http://(?:terminology\.hl7\.org/CodeSystem/[A-Za-z0-9-]{1,60}"
    r"|hl7\.org/fhir/(?:us/core/CodeSystem/)?[a-z-]{1,60})"
)
_HL7_CODE: Final = re.compile(r"[A-Za-z0-9_.<>+-]{1,40}", re.ASCII)


def is_public(system: str, code: str) -> bool:
    """Whether it has the form of a code of a system that everybody has."""
    form = _KNOWN.get(system)
    if form is None and _HL7.fullmatch(system) is not None:
        form = _HL7_CODE
    return form is not None and form.fullmatch(code) is not None
