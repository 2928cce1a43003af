"""What the operator of a gateway decides about consents: the policy where none speaks, how rules are read.

The implicit policies are those of IHE PCF 1.1 (section 53.2.1): what holds for a patient of whom no consent
governs the request. They reach only labels up to N, only the patient in the token's context, only reading,
and never a proxy.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from gateway.core.consent.hierarchy import Hierarchy
from gateway.core.consent.labels import LABELS, LEVELS, LabelOrder, LabelRule
from gateway.core.consent.purposes import BREAK_GLASS, PURPOSES
from gateway.core.consent.rule import (
    PATIENT,
    PRACTITIONER,
    PRACTITIONER_ROLE,
    RELATIVE,
    ROLE,
    kind_of,
)
from gateway.core.consent.verdict import Asker

NORMAL: Final = LabelRule((LEVELS.index("N"),), frozenset(), frozenset())
ACTING: Final = frozenset({"proxy", "caregiver"})
"""The roles of who acts for a patient."""
PROXIES: Final = frozenset(f"{ROLE}:{role}" for role in ACTING)
CLINICIANS: Final = frozenset({f"{ROLE}:clinician", f"{ROLE}:emergency", f"{ROLE}:telehealth"})


class Implicit(enum.StrEnum):
    """What is permitted where no consent governs. `DENY` refuses break-glass too, unless a consent permits
    it by name; the others leave it to who may break the glass."""

    DENY = "deny"
    BREAK_GLASS_ONLY = "break-glass-only"
    BASIC_NORMAL = "basic-normal"  # clinicians, for treatment
    ALL_NORMAL = "all-normal"  # every purpose that is named


@dataclass(frozen=True, slots=True)
class Rules:
    """`contained`: an exception counts only where the node above it applies (`nesting = "contain"`).
    `custodians` are the identities of all who hold the records, None if that is not known. `holds` are codes
    of labels that stand for a legal hold."""

    implicit: Implicit = Implicit.BREAK_GLASS_ONLY
    contained: bool = False
    custodians: frozenset[str] | None = None
    holds: frozenset[str] = frozenset()
    labels: LabelOrder = LABELS
    purposes: Hierarchy = PURPOSES

    def implies(self, asker: Asker, purpose: str | None) -> bool:
        """Whether the implicit policy lets the asker read normal records of the patient in context."""
        if purpose is None or purpose == BREAK_GLASS or is_proxy(asker):
            return False
        match self.implicit:
            case Implicit.DENY | Implicit.BREAK_GLASS_ONLY:
                return False
            case Implicit.BASIC_NORMAL:
                return purpose in self.purposes.below("TREAT") and _is_clinician(asker)
            case Implicit.ALL_NORMAL:
                return True


OPT_IN: Final = Rules()  # without a consent there is nothing, but for a broken glass


def is_proxy(asker: Asker) -> bool:
    """Whether the asker acts for the patient, or may, for all that is known: a relative, another patient."""
    if not PROXIES.isdisjoint(asker.identities):
        return True
    if any(kind_of(name) in (RELATIVE, PATIENT) for name in asker.identities):
        return True
    return asker.known.isdisjoint((RELATIVE, ROLE))


def _is_clinician(asker: Asker) -> bool:
    """By the role if there is one, else by the kind of user."""
    roles = {name for name in asker.identities if kind_of(name) == ROLE}
    if roles:
        return not roles.isdisjoint(CLINICIANS)
    return any(kind_of(name) in (PRACTITIONER, PRACTITIONER_ROLE) for name in asker.identities)
