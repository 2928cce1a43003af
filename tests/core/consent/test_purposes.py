from __future__ import annotations

import pytest

from gateway.core.consent.purposes import PURPOSES, covers

CASES = [
    ({"TREAT"}, "TREAT", True),
    ({"TREAT"}, "COC", True),
    ({"TREAT"}, "CLINTRL", True),
    ({"TREAT"}, "ERTREAT", True),
    ({"TREAT"}, "HRESCH", False),
    ({"ETREAT"}, "TREAT", False),
    ({"HRESCH"}, "CLINTRCHPC", True),
    ({"HRESCH"}, "CLINTRL", False),
    ({"HPAYMT", "HRESCH"}, "ELIGVER", True),
    ({"HPAYMT"}, "PMTDS", True),
    ({"PMTDS"}, "HPAYMT", False),
    ({"COVERAGE"}, "PMTDS", False),
    ({"HOPERAT"}, "METAMGT", True),
    ({"TREAT"}, "BTG", False),
    ({"ETREAT"}, "BTG", False),
    ({"BTG"}, "BTG", True),
    ({"BTG"}, "ETREAT", False),
    ({"LOCAL"}, "LOCAL", True),
    (set(), "TREAT", False),
]


@pytest.mark.parametrize(("named", "asked", "expected"), CASES)
def test_covers(named: set[str], asked: str, expected: bool) -> None:
    assert covers(named, asked) is expected


def test_the_table_is_hl7s() -> None:
    assert len(PURPOSES.codes) == 60
    assert PURPOSES.below("PATRQT") == {"PATRQT", "FAMRQT", "PWATRNY", "SUPNWK"}
