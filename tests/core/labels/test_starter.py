"""The codes that the tables begin with, category by category, and those that must not be among them."""

from __future__ import annotations

import pytest

from gateway.core.labels.codes import CodeTable
from gateway.mapping import load_label_tables

ROWS, SYSTEMS, _ = load_label_tables()
ALL = CodeTable(ROWS, SYSTEMS)
USED = CodeTable(ROWS, SYSTEMS, 0.5)
ADDRESS = {
    "icd": "http://hl7.org/fhir/sid/icd-10-cm",
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "hcpcs": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
}

STARTER = {
    "HIV": {
        "icd": "B20 Z21 B97.35 R75 O98.7 O98.711 Z20.6 Z11.4 Z71.7 Z29.81",
        "loinc": "56888-1 20447-9 25836-8 7919-4 69668-2 9836-8",
        "snomed": "86406008 420721002",
        "rxnorm": "276237 719872 1102270 85762 68244 300195",
    },
    "ETHUD": {
        "icd": "F10.20 K70.30 G31.2 O99.310 Z71.41 Y90.5 R78.0 Z81.1",
        "loinc": "75624-7 74661-0 5643-2 58375-7",
        "snomed": "15167005 714829008",
        "rxnorm": "82819 3554",
    },
    "OPIOIDUD": {"icd": "F11.20", "rxnorm": "1819 6813"},
    "SUD": {
        "icd": "F12.10 F13.20 F14.10 F15.10 F16.10 F18.10 F19.20 O99.320 P96.1 Z71.51 Z02.83 Z63.72",
        "loinc": "87428-9 69739-1 8152-1 34857-3",
        "snomed": "66214007",
        "rxnorm": "7243",
        "hcpcs": "H0008 H0009 H0010 H0011 H0012 H0013 H0014 S9475",
    },
    "MH": {
        "icd": "F20.0 F25.9 F29 F32.9 F39 F41.1 F48.9 F60.3 F69 F90.0 F98.9 F99 R45.851 T14.91XA "
        "X71.0XXA X83.8XXA Z91.51 Z91.52",
        "loinc": "44261-6 55758-7 70274-6 28627-8 28635-1 34785-6 34904-3 78263-1 78306-8 78472-8 11510-5",
        "snomed": "58214004 13746004 35489007 47505003 83225003 370143000",
    },
    "PSYTHPN": {"loinc": "11510-5"},
    "SEX": {
        "icd": "Z30.09 Z31.0 Z32.01 Z33.1 Z33.2 Z34.00 O00.1 O04.5 O07.4 O08.9 O09.00 Z3A.20 Z64.0 "
        "N46.9 N97.9 Z98.51 Z98.52 Z79.3 F64.0 Z87.890",
        "loinc": "21198-7 11525-3",
        "snomed": "386639001 16607004 65727000",
    },
    "PREGNANT": {"icd": "Z33.1 Z34.00 O09.00 Z3A.20", "loinc": "21198-7 11525-3", "snomed": "65727000"},
    "STD": {"icd": "A50.9 A54.00 A64", "loinc": "42931-6 21416-3 91134-7", "snomed": "171128005"},
    "SDV": {"icd": "T74.11XA T76.01XA Y07.01 Z69.11 Z04.41"},
    "VIO": {"icd": "T74.11XA T76.01XA Y07.01 Z69.11 Z04.41"},
    "GDIS": {
        "icd": "Z13.71 Z14.1 Z15.01 D57.1",
        "loinc": "81247-9 69548-6 21636-6 21668-9",
        "snomed": "16402000",
    },
    "SCA": {"icd": "D57.1", "snomed": "16402000"},
}
CODES = [
    (label, system, code)
    for label, systems in STARTER.items()
    for system, codes in systems.items()
    for code in codes.split()
]


@pytest.mark.parametrize(("label", "system", "code"), CODES)
def test_a_code_of_the_start_has_its_label(label: str, system: str, code: str) -> None:
    assert label in {row.label.code for row in USED.found(ADDRESS[system], code)}


TRAPS = {
    "medicines that treat something else too": ("rxnorm", "85762 68244 300195 276237 1819 6813 7243"),
    "a hormone that tumours make too": ("loinc", "21198-7"),
    "alcohol in the blood, once": ("icd", "Y90.5 R78.0"),
    "a test, a contact, advice": ("icd", "Z20.6 Z11.4 Z71.7 Z29.81 Z02.83 Z81.1 Z63.72"),
}
TRAPPED = [(why, system, code) for why, (system, codes) in TRAPS.items() for code in codes.split()]


@pytest.mark.parametrize(("why", "system", "code"), TRAPPED)
def test_what_may_mean_something_else_is_not_sure(why: str, system: str, code: str) -> None:
    found = USED.found(ADDRESS[system], code)
    assert found, why
    assert all(row.confidence < 1 for row in found), why


POLICY = {
    "icd": "F01.50 F09 F50.00 F59 F70 F79 F80.0 F89",
    "snomed": "75544000",
}
CHOICES = [(system, code) for system, codes in POLICY.items() for code in codes.split()]


@pytest.mark.parametrize(("system", "code"), CHOICES)
def test_what_a_house_chooses_or_nobody_checked_counts_from_a_lower_threshold_on(
    system: str, code: str
) -> None:
    assert not USED.found(ADDRESS[system], code)
    assert ALL.found(ADDRESS[system], code)


OUTSIDE = {
    "notes of no specialty": ("loinc", "11488-4 11506-3 34117-2 18842-5"),
    "tobacco": ("icd", "F17.210 Z72.0 Z87.891"),
    "poisoning, and long-term analgesics": ("icd", "T40.2X1A Z79.891 Z79.899"),
    "arterial blood gases, which a public list has as drug use": ("loinc", "1960-4 2019-8"),
    "medicines of which a public list says HIV": ("rxnorm", "281 4450 9384 10829"),
    "medicines of the mind with other uses": ("rxnorm", "51272 28439 36437"),
    "neighbours": ("icd", "B19.20 Z22 R76 O98.8 A49.9 A65 T73 T75 Z70 D56.1 Z12.11 Z16 N45 N98 Z29 Z35 O10"),
}
NEIGHBOURS = [(why, system, code) for why, (system, codes) in OUTSIDE.items() for code in codes.split()]


@pytest.mark.parametrize(("why", "system", "code"), NEIGHBOURS)
def test_what_is_none_of_it_has_no_label(why: str, system: str, code: str) -> None:
    assert not ALL.found(ADDRESS[system], code), why
