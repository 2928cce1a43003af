"""Two addresses of one code system, or of two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.systems import same_system

SNOMED = "http://snomed.info/sct"
OID = "urn:oid:2.16.840.1.113883.6.96"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SNOMED, SNOMED, True),
        (SNOMED, "https://snomed.info/sct", True),
        (SNOMED, "http://snomed.info/sct/", True),
        (SNOMED, " http://snomed.info/sct|http://snomed.info/sct/900000000000207008", True),
        (SNOMED, "HTTP://SNOMED.info/sct", None),
        (SNOMED, "http://snomed.info/sct/900000000000207008/version/20240101", None),
        (SNOMED, "http://snomed.info/sct2", False),
        (SNOMED, "http://snomed.info/id", False),
        (SNOMED, "http://loinc.org", False),
        (SNOMED, OID, None),
        (OID, "urn:oid:2.16.840.1.113883.6.1", False),
        (OID, "URN:OID:2.16.840.1.113883.6.96", None),
        ("http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm", False),
    ],
)
def test_whether_two_addresses_name_one_system(one: str, other: str, same: bool | None) -> None:
    assert same_system(one, other) is same
    assert same_system(other, one) is same


@given(st.text(), st.text())
def test_it_does_not_matter_which_is_asked_for(one: str, other: str) -> None:
    assert same_system(one, one) is True
    assert same_system(one, other) is same_system(other, one)
