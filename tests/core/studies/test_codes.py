"""Which codes may leave: those of systems that everybody has, in the form of their system."""

from __future__ import annotations

import pytest

from gateway.core.studies.codes import UCUM, is_public
from tests.core.studies.building import LOINC, RXNORM, SNOMED

HL7 = "http://terminology.hl7.org/CodeSystem"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CODES = [
    (LOINC, "8480-6", True),
    (LOINC, "LA6576-8", True),
    (LOINC, "LP7787-7", True),
    (LOINC, "8480", False),
    (LOINC, "8480-66", False),
    (LOINC, "Ann-6", False),
    (LOINC, "8480-6\n", False),
    (SNOMED, "38341003", True),
    (SNOMED, "38341", False),
    (SNOMED, "38341003 |Hypertension|", False),
    (SNOMED, "38341003:363698007=113257007", False),
    (RXNORM, "310965", True),
    (RXNORM, "310965-1", False),
    (ICD, "I10", True),
    (ICD, "E11.65", True),
    (ICD, "S72.001A", True),
    (ICD, "E11.65.1", False),
    (ICD, "Ann", False),
    ("http://www.cms.gov/Medicare/Coding/ICD10", "0DTJ4ZZ", True),
    ("http://www.ama-assn.org/go/cpt", "99213", True),
    ("http://www.ama-assn.org/go/cpt", "9921", False),
    ("http://www.whocc.no/atc", "C09AA05", True),
    ("http://www.whocc.no/atc", "C09A5", False),
    ("http://hl7.org/fhir/sid/cvx", "140", True),
    ("http://hl7.org/fhir/sid/ndc", "0069-2587-41", True),
    ("http://hl7.org/fhir/sid/ndc", "123-45-6789", False),
    ("http://hl7.org/fhir/sid/us-ssn", "123-45-6789", False),
    ("http://hl7.org/fhir/sid/us-npi", "1234567890", False),
    (UCUM, "mm[Hg]", True),
    (UCUM, "10*3/uL", True),
    (UCUM, "{score}", True),
    (UCUM, "mL/min/{1.73_m2}", True),
    (UCUM, "{2020_03}", False),
    (UCUM, "{Ann Example}", False),
    (UCUM, "", False),
    (f"{HL7}/observation-category", "vital-signs", True),
    (f"{HL7}/v3-ObservationInterpretation", "<", True),
    (f"{HL7}/v3-ObservationInterpretation", "much higher", False),
    (f"{HL7}/a/b", "x", False),
    (f"{HL7}", "x", False),
    ("http://hl7.org/fhir/event-status", "completed", True),
    ("http://hl7.org/fhir/us/core/CodeSystem/condition-category", "problem", True),
    ("http://hl7.org/fhir/Patient/85", "x", False),
    ("https://loinc.org", "8480-6", False),
    ("http://loinc.org/", "8480-6", False),
    ("http://loinc.org.example", "8480-6", False),
    ("https://ward.example/codes", "8480-6", False),
    ("", "8480-6", False),
]


@pytest.mark.parametrize(("system", "code", "public"), CODES, ids=[f"{s}|{c}" for s, c, _ in CODES])
def test_codes(system: str, code: str, public: bool) -> None:
    assert is_public(system, code) == public
