"""What no consent opens: records under a legal hold, and what was paid for by the patient, for payers.

It stands above patients' consents and above break-glass, for everybody. Such records are known by their
labels, read by code in any system and spelling, so that a slip in a label does not open one.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from gateway.core.consent.hierarchy import Hierarchy
from gateway.core.consent.rule import ROLE
from gateway.core.consent.verdict import Asker
from gateway.core.values import Label

LEGAL_HOLD: Final = "LEGALHOLD"  # our own: HL7 has no code for it
SELF_PAY: Final = "HIPAASelfPay"  # v3-ActCode; 45 CFR 164.522(a)(1)(vi)
PAYER: Final = f"{ROLE}:payer"


def forbids(labels: Set[Label], asker: Asker, holds: Iterable[str], purposes: Hierarchy) -> bool:
    """Whether law or a hold keeps a record with these labels from the asker. `holds` are codes of labels
    that stand for a legal hold here, beside `LEGAL_HOLD`."""
    if not labels:
        return False
    codes = {_folded(label.code) for label in labels}
    if _folded(LEGAL_HOLD) in codes or any(_folded(code) in codes for code in holds):
        return True
    return _folded(SELF_PAY) in codes and _may_be_plan(asker, purposes)


def _may_be_plan(asker: Asker, purposes: Hierarchy) -> bool:
    """Whether a health plan may be asking for payment or operations, as far as that can be told."""
    asked = set(asker.purposes)
    if not asked or asked & purposes.below("HPAYMT"):
        return True
    return bool(asked & purposes.below("HOPERAT")) and (PAYER in asker.identities or ROLE not in asker.known)


def _folded(code: str) -> str:
    return code.strip().upper()
