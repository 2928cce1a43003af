"""A prescription confirmed: whether it is valid, what is left of it, and whether its drug is dangerous beside
what the patient takes. Nothing else of the patient's record is told.

What cannot be told is no: a prescription that is not understood is not valid, and has nothing left.
Source: FHIR medicationrequest.html (R4, R5).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.core.drugs import Alert
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.elements import codes, intervals

OPERATION: Final = "$confirm"
ROLE: Final = "pharmacy"
"""The one role that confirms: the alert comes from records that it does not see."""

_ORDERS: Final = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
_NOT_GIVEN: Final = frozenset({"cancelled", "declined", "entered-in-error"})
_NO_SUBSTITUTION: Final = "N"  # v3-substanceAdminSubstitution


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`remaining` counts the times that it may still be dispensed."""

    valid: bool
    remaining: int
    substitution_allowed: bool
    interaction_alert: Alert

    def parameters(self) -> bytes:
        """The answer as a FHIR Parameters resource."""
        values = (
            {"name": "valid", "valueBoolean": self.valid},
            {"name": "remaining", "valueInteger": self.remaining},
            {"name": "substitution_allowed", "valueBoolean": self.substitution_allowed},
            {"name": "interaction_alert", "valueCode": self.interaction_alert},
        )
        return json.dumps({"resourceType": "Parameters", "parameter": values}, separators=(",", ":")).encode()


def confirm(prescription: Tree, dispenses: Iterable[Tree] | None, alert: Alert, now_s: int) -> Confirmation:
    """`dispenses` are those under the prescription, whoever made them; None if not all are known."""
    valid = is_valid(prescription, now_s)
    left = 0 if dispenses is None or not valid else _remaining(prescription, dispenses)
    return Confirmation(valid, left, valid and _may_substitute(prescription), alert)


def is_valid(prescription: Tree, now_s: int) -> bool:
    """Whether it is an active order, in its time, and says nothing that changes its meaning unread."""
    request = prescription.get("dispenseRequest", {})
    return (
        prescription.get("status") == "active"
        and _is_one(prescription.get("intent"), _ORDERS)
        and prescription.get("doNotPerform", False) is False
        and "_doNotPerform" not in prescription
        and "modifierExtension" not in prescription
        and type(request) is dict
        and "modifierExtension" not in request
        and ("validityPeriod" not in request or _includes(request["validityPeriod"], now_s))
    )


def _is_one(code: Tree, codes: Set[str]) -> bool:
    return type(code) is str and code in codes


def _includes(period: Tree, now_s: int) -> bool:
    now = datetime.fromtimestamp(now_s, UTC)
    return all(time is not None and time.low <= now < time.high for time in intervals(period))


def _remaining(prescription: Tree, dispenses: Iterable[Tree]) -> int:
    """Once, and the repeats; a repeat that is not said is none, a dispense that may have been made was."""
    repeats = prescription.get("dispenseRequest", {}).get("numberOfRepeatsAllowed", 0)
    allowed = 1 + repeats if type(repeats) is int and repeats >= 0 else 1
    given = sum(not _is_one(dispense.get("status"), _NOT_GIVEN) for dispense in dispenses)
    return max(0, allowed - given)


def _may_substitute(prescription: Tree) -> bool:
    """FHIR: "If nothing is specified substitution may be done"."""
    substitution = prescription.get("substitution")
    if substitution is None:
        return "_substitution" not in prescription
    if type(substitution) is not dict or "modifierExtension" in substitution:
        return False
    if "allowedBoolean" in substitution:
        return substitution["allowedBoolean"] is True
    kinds = [code for _, code in codes(substitution.get("allowedCodeableConcept"))]
    return bool(kinds) and None not in kinds and _NO_SUBSTITUTION not in kinds
