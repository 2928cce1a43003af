"""What a role needs to see: a ceiling on what consents permit, never a right.

What stays true: a type, a purpose or a record that a profile does not name is not seen. Values only; they are
read in `parse` and applied in `ceiling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.core.consent.labels import LabelRule
from gateway.core.values import Term

Names: TypeAlias = "Mapping[str, Names | Typed | None]"
"""Element names; None: the whole element, else the names of its parts, or which of its Identifiers.
`medication[x]` is a choice."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Of an element that holds Identifiers those whose type is one of `codes` (v2-0203), whole; of the
    others the parts `others`."""

    codes: frozenset[str]
    others: Names = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a record must be: all of the search terms hold for it, and `in_case` it belongs to the token's
    case."""

    terms: tuple[Term, ...] = ()
    in_case: bool = False


@dataclass(frozen=True, slots=True)
class More:
    """Elements that are needed of a record for which all of `when` hold."""

    when: tuple[Term, ...]
    keep: Names


@dataclass(frozen=True, slots=True)
class TypeRule:
    """Records of a type for which one of the conditions `only` holds (None: all of them), with the elements
    `keep` (None: all) and what there is `more` of some, but for those of `drop`."""

    only: tuple[Condition, ...] | None = None
    keep: Names | None = None
    drop: Names | None = None
    more: tuple[More, ...] = ()

    @property
    def asks_case(self) -> bool:
        """Whether it matters if a record belongs to the token's case."""
        return any(condition.in_case for condition in self.only or ())


WHOLE: Final = TypeRule()


@dataclass(frozen=True, slots=True)
class Profile:
    """`types` by name, `*` for all that have no rule of their own; `never` are conditions by type, one of
    which hides a record, None for the type itself; `blocks` the labels whose records are not seen, and
    `blocks_unless` those whose records are seen for a purpose alone.

    `roots` are the types that a case may be of. `open_without_case`: a token without one is not limited to a
    case. `grace_s`: a case is open in its own time and so many seconds longer; None: at any time.
    `lifetime_s`: no token of the role lives longer; None: as long as any. `shows_labels`: the role needs to
    know how sensitive records are. `in_studies`: it sees records made anew for a study, and nothing without
    one.
    """

    role: str
    about: str
    purposes: frozenset[str]
    types: Mapping[str, TypeRule]
    never: Mapping[str, tuple[tuple[Term, ...], ...] | None] = field(default_factory=dict)
    blocks: LabelRule | None = None
    blocks_unless: tuple[tuple[str, LabelRule], ...] = ()
    roots: frozenset[str] = frozenset()
    open_without_case: bool = False
    grace_s: int | None = None
    lifetime_s: int | None = None
    shows_labels: bool = False
    in_studies: bool = False

    def rule(self, kind: str) -> TypeRule | None:
        """The rule for a type; None: the role sees none of it."""
        if kind in self.never and self.never[kind] is None:
            return None
        return self.types.get(kind) or self.types.get("*")
