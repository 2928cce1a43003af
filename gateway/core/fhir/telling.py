"""What the house tells of what it withholds from a resource, and of its labels.

`silent`: nothing. `generic`: every answer says the same, whatever was hidden. `explicit`: what something was
cut out of says so. A setting, because the law differs: EHDS Article 8 forbids to show a provider that
something is restricted, elsewhere a clinician has to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gateway.core.fhir.mask import MASKED, UNKNOWN
from gateway.core.fhir.security import REDACTED, Egress
from gateway.core.values import Label

Notice = Literal["silent", "generic", "explicit"]


@dataclass(frozen=True, slots=True)
class Telling:
    """`shown`: the reader may know the labels of what they get; `classifier` is who finds labels here."""

    notice: Notice
    egress: Egress
    shown: bool = False
    classifier: str = ""

    @property
    def absent(self) -> bytes:
        """What stands for a required element that is withheld."""
        return MASKED if self.notice == "explicit" else UNKNOWN

    @property
    def tags(self) -> tuple[Label, ...]:
        """What a resource is tagged with, out of which a consent cut something."""
        return (REDACTED,) if self.notice == "explicit" else ()


NOTICE: Final = (
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"suppressed",'
    b'"diagnostics":"Information may be withheld according to the consents of the patient."}]}'
)
"""The outcome that a searchset carries beside its matches (R4 search.html, outcome entries)."""
