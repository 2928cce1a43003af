"""Code systems by their names, and the forms of their codes."""

from __future__ import annotations

import pytest

from gateway.core.labels.systems import CodeSystems, check_code, icd_range

GOOD = [
    ("icd-10-cm", "B20"),
    ("icd-10-cm", "O98.7-"),
    ("icd-10-cm", "Z3A-"),
    ("icd-10-cm", "F10-F16"),
    ("loinc", "56888-1"),
    ("loinc", "2160-0"),
    ("snomed", "22298006"),
    ("snomed", "900000000000207008"),
    ("rxnorm", "276237"),
    ("hcpcs", "H0008"),
    ("cpt", "99213"),
    ("drug-name", "tenofovir"),
]
BAD = [
    ("icd-10-cm", "b20"),
    ("icd-10-cm", "B2"),
    ("icd-10-cm", "B20."),
    ("icd-10-cm", "B20.12345"),
    ("icd-10-cm", "F16-F10"),
    ("icd-10-cm", "F10-G16"),
    ("icd-10-cm", "F10.1-F16"),
    ("loinc", "56888-2"),
    ("loinc", "568881"),
    ("snomed", "22298007"),
    ("snomed", "22299006"),
    ("snomed", "12345"),
    ("rxnorm", "0276237"),
    ("hcpcs", "0008H"),
    ("cpt", "9921"),
    ("drug-name", "Tenofovir"),
    ("drug-name", "tenofovir|x"),
]


@pytest.mark.parametrize(("system", "code"), GOOD)
def test_a_code_of_the_system(system: str, code: str) -> None:
    check_code(system, code)


@pytest.mark.parametrize(("system", "code"), BAD)
def test_no_code_of_the_system(system: str, code: str) -> None:
    with pytest.raises(ValueError, match="is no code of"):
        check_code(system, code)


@pytest.mark.parametrize(
    ("code", "codes", "below"),
    [
        ("Z21", ("Z21",), False),
        ("B97.35", ("B9735",), False),
        ("O98.7-", ("O987",), True),
        ("F10-F12", ("F10", "F11", "F12"), True),
        ("O00-O02", ("O00", "O01", "O02"), True),
    ],
)
def test_what_a_row_names(code: str, codes: tuple[str, ...], below: bool) -> None:
    assert icd_range(code) == (codes, below)


def test_a_system_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such code system: icd-12"):
        CodeSystems({"icd-12": []})


def test_an_address_for_two_systems_is_an_error() -> None:
    with pytest.raises(ValueError, match="names two"):
        CodeSystems({"loinc": ["http://loinc.org"], "snomed": ["https://LOINC.org/"]})
