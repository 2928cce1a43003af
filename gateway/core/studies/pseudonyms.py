"""Other names for the records of a study, and how far the dates of each patient are moved.

What stays true: without the study's key nothing leads from a pseudonym to an id, or from one study's to
another's; inside a study the same record has the same one. The key comes from the key-encryption key, so
there is none to keep, and whoever has that one can tell whose a pseudonym is by trying all ids.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

from gateway.core.values import Ref

KEY_BYTES: Final = 32
DAYS: Final = 365
"""Dates are moved back by 1 to so many days: none lies in the future, none stays where it was."""


def study_key(secret: bytes, upstream: str, study: str, dates: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) of the key-encryption key, empty salt, info
    `fhir-study/v1/UPSTREAM/STUDY/DATES`; names have no slash. Years under the same pseudonyms as moved dates
    would tell by how much these were moved."""
    extracted = hmac.digest(bytes(KEY_BYTES), secret, "sha256")
    return hmac.digest(extracted, f"fhir-study/v1/{upstream}/{study}/{dates}".encode() + b"\x01", "sha256")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Those of one study at one upstream; `key` is its own."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError("a study's key has 32 bytes")

    def of(self, ref: Ref) -> str:
        """The id that stands for the record's: 40 hexadecimal digits."""
        return self._digest("id", str(ref)).hex()[:40]

    def days(self, patient: str) -> int:
        """By how many days the dates of a patient are moved back."""
        return int.from_bytes(self._digest("days", patient)[:16], "big") % DAYS + 1

    def _digest(self, use: str, name: str) -> bytes:
        return hmac.digest(self.key, f"{use} {name}".encode(), "sha256")
