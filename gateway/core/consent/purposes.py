"""Purposes of use: HL7's v3-PurposeOfUse, and what a rule that names some of them covers.

From hl7.terminology 5.1.0, CodeSystem v3-ActReason 2.1.0, PurposeOfUse and below (CC0), and of UTG PMTDS,
a dispute about a payment. A rule for a
purpose covers the narrower ones, except break-glass: BTG is only ever meant when it is named.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from gateway.core.consent.hierarchy import Hierarchy

BREAK_GLASS: Final = "BTG"

PURPOSES: Final = Hierarchy(
    {
        "HMARKT": (),
        "HOPERAT": (
            "CAREMGT", "DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDECD", "HDIRECT", "HDM", "HLEGAL",
            "HOUTCOMS", "HPRGRP", "HQUALIMP", "HSYSADMIN", "MEMADMIN", "MILCDM", "PATADMIN", "PATSFTY",
            "PERFMSR", "RECORDMGT", "SYSDEV", "TRAIN",
        ),
        "HSYSADMIN": ("LABELING", "METAMGT"),
        "SYSDEV": ("HTEST",),
        "HPAYMT": ("CLMATTCH", "COVAUTH", "COVERAGE", "PMTDS", "REMITADV"),
        "COVERAGE": ("ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG"),
        "HRESCH": ("BIORCH", "CLINTRCH", "DSRCH", "POARCH", "TRANSRCH"),
        "CLINTRCH": ("CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH"),
        "PATRQT": ("FAMRQT", "PWATRNY", "SUPNWK"),
        "PUBHLTH": ("DISASTER", "THREAT"),
        "TREAT": ("CLINTRL", "COC", "ETREAT", "POPHLTH"),
        "ETREAT": ("BTG", "ERTREAT"),
    }
)  # fmt: skip


def covers(named: Set[str], purpose: str, purposes: Hierarchy = PURPOSES) -> bool:
    """Whether a rule for the purposes `named` speaks of `purpose`."""
    if purpose in named:
        return True
    return purpose != BREAK_GLASS and any(purpose in purposes.below(code) for code in named)
