"""What a role needs to see: a ceiling on what consents permit, never a right.

What stays true: a type, a purpose or a record that a profile does not name is not seen. Values only; they are
read in `parse` and applied in `ceiling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from gateway.core.consent.labels import LabelRule
from gateway.core.values import Term

Names: TypeAlias = "Mapping[str, Names | None]"
"""Element names; None: the whole element, else the names of its parts. `medication[x]` is a choice."""

IN_CASE: Final[Literal["case"]] = "case"
"""The condition that a record belongs to the case of the token."""

Condition: TypeAlias = tuple[Term, ...] | Literal["case"]
"""What a record must be: all of the search terms hold for it, or it belongs to the case."""


@dataclass(frozen=True, slots=True)
class TypeRule:
    """Records of a type for which one of the conditions `only` holds (None: all of them), with the elements
    `keep` (None: all) but for those of `drop`."""

    only: tuple[Condition, ...] | None = None
    keep: Names | None = None
    drop: Names | None = None


WHOLE: Final = TypeRule()


@dataclass(frozen=True, slots=True)
class Profile:
    """`types` by name, `*` for all that have no rule of their own; `never` are conditions by type, one of
    which hides a record, None for the type itself; `blocks` the labels whose records are not seen.

    `roots` are the types that a case may be of. `open_without_case`: a token without one is not limited to a
    case. `grace_s`: a case is open in its own time and so many seconds longer; None: at any time.
    `shows_labels`: the role needs to know how sensitive records are.
    """

    role: str
    about: str
    purposes: frozenset[str]
    types: Mapping[str, TypeRule]
    never: Mapping[str, tuple[tuple[Term, ...], ...] | None] = field(default_factory=dict)
    blocks: LabelRule | None = None
    roots: frozenset[str] = frozenset()
    open_without_case: bool = False
    grace_s: int | None = None
    shows_labels: bool = False

    def rule(self, kind: str) -> TypeRule | None:
        """The rule for a type; None: the role sees none of it."""
        if kind in self.never and self.never[kind] is None:
            return None
        return self.types.get(kind) or self.types.get("*")
