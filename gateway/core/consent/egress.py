"""What of a resource's labels may leave with it.

A sensitivity code is as sensitive as what it labels, and so is a label that nobody here knows: both stay
behind, unless the role needs them. What stays is the confidentiality level, counted anew, and what asks the
receiver for care. Nothing is known here of bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final

from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, HANDLING, LABELS, LEVELS
from gateway.core.fhir.security import INLINE
from gateway.core.values import Label

PART_2: Final = Label(ACT_CODE, "42CFRPart2")
REDISCLOSURE: Final = (Label(ACT_CODE, "NORDSCLCD"), Label(ACT_CODE, "RedisclosureProhibitionMark"))
"""What records of a programme under 42 CFR Part 2 have to say to whoever receives them (section 2.32)."""


class Egress:
    """The label rules as the release asks for them; see `gateway.core.fhir.security.Egress`."""

    def level(self, labels: Iterable[Label]) -> Label:
        return Label(CONFIDENTIALITY, LEVELS[LABELS.marks(labels).level])

    def level_of(self, label: Label) -> Label | None:
        [canonical] = LABELS.marks([label]).all
        return canonical if canonical.system == CONFIDENTIALITY else None

    def stays(self, label: Label) -> bool:
        [canonical] = LABELS.marks([label]).all
        return canonical in HANDLING

    @functools.lru_cache(maxsize=256)  # noqa: B019 - there is one Egress, and few sets of labels
    def harmless(self, labels: frozenset[Label]) -> bool:
        levels = {level for label in labels if (level := self.level_of(label)) is not None}
        others = [label for label in labels if self.level_of(label) is None]
        told = levels <= {self.level(labels)} and all(map(self.stays, others))
        return told and INLINE not in others and not self.obligations(labels)

    def obligations(self, labels: Iterable[Label]) -> tuple[Label, ...]:
        return REDISCLOSURE if PART_2 in LABELS.marks(labels).all else ()


EGRESS: Final = Egress()
