"""The row of the reference that each setting carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.config.kinds import Kind

REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class Row:
    """What the reference says about a setting, and what `load` goes by."""

    kind: Kind
    help: str
    default: object = REQUIRED

    @property
    def required(self) -> bool:
        return self.default is REQUIRED
