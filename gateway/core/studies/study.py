"""A study: whose clients ask, what it is about, until when its records go, and each record as it leaves.

What stays true: a record leaves made anew, from elements and datatypes that are understood, or not at all; it
holds one of the study's codes; it was not changed after the study's day, and before that day has come nothing
leaves, so that no record shows by when it appears when it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.literals import parse_date
from gateway.core.fhir.security import OBSERVATION_VALUE
from gateway.core.studies.datatypes import Dates, Making, coding, made_of
from gateway.core.studies.elements import ABOUT_OTHERS, ELEMENTS
from gateway.core.studies.pseudonyms import Pseudonyms
from gateway.core.values import Term, Token

MAX_CODES: Final = 1000


def _tag(code: str) -> dict[str, str]:
    return {"system": OBSERVATION_VALUE, "code": code}


PSEUDED: Final = _tag("PSEUDED")
"""Identifiers were replaced by pseudonyms (v3-ObservationValue)."""
ABSTRED: Final = _tag("ABSTRED")
"""Dates were made coarser."""
SUBSETTED: Final = _tag("SUBSETTED")


def coding_of(text: str) -> tuple[str, str]:
    """System and code of `system|code`. Raises ValueError."""
    system, bar, code = text.rpartition("|")
    if not (bar and system and code) or "|" in system or not text.isprintable() or " " in text:
        raise ValueError("a code is written as system|code")
    return system, code


def instant_of(text: str) -> datetime:
    """When a day begins (UTC), or an instant with its zone. Raises ValueError."""
    prefix, found = parse_date(text)
    plain = prefix == "eq" and text[0].isdigit() and len(text) >= 10
    if not plain or ("T" in text and not (text.endswith("Z") or text[-6] in "+-")):
        raise ValueError("not a day, nor an instant with its zone")
    return found.low


@dataclass(frozen=True, slots=True)
class Study:
    """`clients` as `ID` or `ID@ISSUER`; `codes` (system, code); `until` is its day: later records and changes
    are not in it. `role` names the profile by which its clients see, whatever their tokens say. `term` is
    what each of its records meets."""

    id: str
    role: str
    clients: frozenset[str]
    codes: tuple[tuple[str, str], ...]
    until: datetime
    dates: Dates
    pseudonyms: Pseudonyms
    term: Term = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.codes) <= MAX_CODES or self.until.tzinfo is None:
            raise ValueError("a study has codes, not too many, and a day in UTC")
        codes = tuple(f"{_escaped(system)}|{_escaped(code)}" for system, code in self.codes)
        object.__setattr__(self, "term", Term("code", codes))

    def is_of(self, token: Token) -> bool:
        return not self.clients.isdisjoint((token.client, f"{token.client}@{token.issuer}"))

    def has_begun(self, now_s: int) -> bool:
        return self.until <= datetime.fromtimestamp(now_s, UTC)

    def holds(self, facts: Facts, tree: Tree, catalogue: Catalogue, bases: tuple[str, str]) -> bool:
        """Whether the record is one of the study's; what cannot be told of it counts against it."""
        if not self._was_there(facts.updated):
            return False
        made = self.made(facts, tree, bases)
        return made is not None and match.satisfies(catalogue, made, self.term, bases)

    def shows(
        self,
        facts: Facts,
        tree: Tree,
        terms: Sequence[Term],
        catalogue: Catalogue,
        bases: tuple[str, str],
    ) -> bool:
        """Whether a search's terms hold for what leaves of the record, so that no search tells more."""
        made = self.made(facts, tree, bases)
        return made is not None and all(match.satisfies(catalogue, made, term, bases) for term in terms)

    def made(self, facts: Facts, tree: Tree, bases: tuple[str, str]) -> dict[str, Tree] | None:
        """The record as it leaves, of what of it is in `tree`; None if it cannot."""
        members = ELEMENTS.get(facts.type)
        if members is None or len(facts.owners) != 1 or _means_more(facts.type, tree):
            return None
        [patient] = facts.owners
        making = Making(patient, self.pseudonyms, self.dates, frozenset(self.codes), bases)
        made = made_of(members, tree, making)
        if made is None or "subject" not in made:
            return None
        ident = self.pseudonyms.of(facts.ref)
        return {"resourceType": facts.type, "id": ident, "meta": self._meta(tree, making), **made}

    def _was_there(self, updated: str | None) -> bool:
        try:
            return updated is not None and parse_date(updated)[1].high <= self.until
        except ValueError:
            return False

    def _meta(self, tree: Tree, making: Making) -> dict[str, Tree]:
        meta = tree.get("meta", {})
        labels = meta.get("security", ()) if type(meta) is dict else ()
        kept = [made for one in labels if (made := coding(one, making)) is not None]
        tags = [PSEUDED, *([ABSTRED] if self.dates == "year" else [])]
        return {"security": [*(one for one in kept if one not in tags), *tags], "tag": [SUBSETTED]}


def _escaped(text: str) -> str:
    r"""With FHIR's escapes of `\`, `,`, `|` and `$`."""
    return "".join(f"\\{each}" if each in "\\,|$" else each for each in text)


def _means_more(kind: str, tree: Tree) -> bool:
    """Whether something in it that cannot leave changes what the rest means."""
    if type(tree) is not dict or not (_RULES | ABOUT_OTHERS.get(kind, _RULES)).isdisjoint(tree):
        return True
    return _is_modified({name: value for name, value in tree.items() if name != "contained"})


_RULES: Final = frozenset({"implicitRules", "_implicitRules"})


def _is_modified(node: Tree) -> bool:
    if type(node) is dict:
        return "modifierExtension" in node or any(map(_is_modified, node.values()))
    return type(node) is list and any(map(_is_modified, node))
