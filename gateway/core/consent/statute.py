"""What no consent opens: records under a legal hold, and what was paid for by the patient, for payers. And
what opens for payers only by name: records of a substance use programme (42 CFR Part 2).

It stands above patients' consents and above break-glass, for everybody. Such records are known by their
labels, read by code in any system and spelling, so that a slip in a label does not open one.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from gateway.core.consent.hierarchy import Hierarchy
from gateway.core.consent.labels import LEGAL_HOLD, LabelRule
from gateway.core.consent.rule import ROLE
from gateway.core.consent.verdict import Asker
from gateway.core.values import Label

SELF_PAY: Final = "HIPAASelfPay"  # v3-ActCode; 45 CFR 164.522(a)(1)(vi)
PROGRAMME: Final = "42CFRPart2"  # v3-ActCode; 42 CFR 2.31
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


def opens_by_name(labels: Set[Label], asker: Asker, purposes: Hierarchy) -> bool:
    """Whether only a permit that names the programme's label lets the asker have a record with these."""
    programme = any(_folded(label.code) == _folded(PROGRAMME) for label in labels)
    return programme and _may_be_plan(asker, purposes)


def weighs_labels(asker: Asker, purposes: Hierarchy) -> bool:
    """Whether labels that are found in a record can make a difference here, whatever consents say."""
    return _may_be_plan(asker, purposes)


def names_programme(labels: LabelRule | None) -> bool:
    """Whether a permit for records with these labels names the programme's."""
    return labels is not None and PROGRAMME in labels.sensitivities


def _may_be_plan(asker: Asker, purposes: Hierarchy) -> bool:
    """Whether a health plan may be asking for payment or operations, as far as that can be told."""
    asked = set(asker.purposes)
    if not asked or asked & purposes.below("HPAYMT"):
        return True
    return bool(asked & purposes.below("HOPERAT")) and (PAYER in asker.identities or ROLE not in asker.known)


def _folded(code: str) -> str:
    return code.strip().upper()
