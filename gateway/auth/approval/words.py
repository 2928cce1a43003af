"""What records, their categories and purposes are called on the pages where people decide.

The words are data (`mappings/consent-words.json`), read strictly. A type that has none is called by its
FHIR name: it is shown all the same, because what is asked for must be seen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from gateway import mapping
from gateway.core.consent.purposes import PURPOSES
from gateway.core.values import Term
from gateway.errors import ConfigError

Group = Literal["usual", "more", "about"]
Who = Literal["patient", "relative", "professional"]
"""The patient themself, who acts for them, and who treats them."""

GROUPS: Final[tuple[Group, ...]] = get_args(Group)
TABLE: Final = "consent-words.json"

_CAPITALS = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class TypeWords:
    """`group`: `usual` records are shown first, `more` on demand, `about` are those of no patient."""

    group: Group
    name: str
    says: str


@dataclass(frozen=True, slots=True)
class Category:
    system: str
    code: str
    name: str
    says: str

    @property
    def terms(self) -> tuple[Term, ...]:
        """As the constraint of a granular scope."""
        return (Term("category", (f"{self.system}|{self.code}",)),)


@dataclass(frozen=True, slots=True)
class Purpose:
    """`code` is of HL7 v3 PurposeOfUse."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """`categories` are by type; the first of each `purposes` is what is proposed."""

    types: Mapping[str, TypeWords]
    categories: Mapping[str, tuple[Category, ...]]
    purposes: Mapping[Who, tuple[Purpose, ...]]

    def of_type(self, kind: str) -> TypeWords:
        return self.types.get(kind) or TypeWords("more", _CAPITALS.sub(" ", kind), "")

    def of_part(self, kind: str, terms: tuple[Term, ...]) -> str:
        """What the terms of a granular scope leave of the records of one type."""
        named = next((c.name for c in self.categories.get(kind, ()) if c.terms == terms), None)
        said = " and ".join(f"{term.key} is {' or '.join(term.values)}" for term in terms)
        return named or f"Only where {said}"

    def of_purpose(self, code: str) -> str:
        """In words; the code itself for one that is never proposed."""
        return next((p.name for ps in self.purposes.values() for p in ps if p.code == code), code)


@functools.cache
def load_words() -> Words:
    """Raises ConfigError."""
    try:
        return parse_words(mapping.load_table(TABLE))
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise ConfigError(f"mappings/{TABLE} cannot be used: {wrong}") from wrong


def parse_words(table: Any) -> Words:
    """The words of a table. Raises ValueError, KeyError, TypeError or AttributeError if it is wrong."""
    if set(table) != {"origin", "licence", "types", "categories", "purposes"}:
        raise ValueError("a member is missing or unknown")
    if set(table["purposes"]) != set(get_args(Who)):
        raise ValueError("the purposes are those of patients, of who acts for them, and of professionals")
    words = Words(
        types={kind: TypeWords(**row) for kind, row in table["types"].items()},
        categories={kind: tuple(Category(**c) for c in rows) for kind, rows in table["categories"].items()},
        purposes={who: tuple(Purpose(**p) for p in rows) for who, rows in table["purposes"].items()},
    )
    if any(row.group not in GROUPS for row in words.types.values()):
        raise ValueError("a group is unknown")
    if not words.categories.keys() <= words.types.keys():
        raise ValueError("categories are of a type that has no words")
    if any(not rows or any(p.code not in PURPOSES.codes for p in rows) for rows in words.purposes.values()):
        raise ValueError("a purpose is not a code of v3-PurposeOfUse")
    return words
