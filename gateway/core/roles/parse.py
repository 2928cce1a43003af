"""A role's file as a profile (docs/roles.md). Unknown means no: a key, type, purpose, label or search
parameter that is not known is a fault, told with its line.

A query has to be one that the gateway evaluates itself, on a record of the type, in every FHIR release that
has the type.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.core.consent.labels import LABELS, LabelRule
from gateway.core.consent.purposes import PURPOSES
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.roles.placeholders import SAMPLES, filled
from gateway.core.roles.profile import IN_CASE, WHOLE, Condition, Names, Profile, TypeRule
from gateway.core.roles.source import Faults, Spot, Text
from gateway.core.smart.constraints import Refusal, parse_constraints
from gateway.core.values import Term

ANY: Final = "*"
ALL: Final = "all"


_HOURS: Final = re.compile(r"(\d{1,4})h")


class Faulty(ValueError):
    """What is wrong with a file, by line."""

    def __init__(self, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__("the profile has faults")
        self.faults = sorted(faults)


def parse_profile(role: str, root: Spot, catalogues: Sequence[Catalogue]) -> Profile:
    """The profile of the file for `role`; `catalogues` are those of all FHIR releases.

    Raises:
        Faulty: anything is not as in docs/roles.md; all faults are in it.
    """
    reading = _Reading(role, catalogues)
    profile = reading.profile(root)
    if reading.faults.found:
        raise Faulty(reading.faults.found)
    return profile


class _Reading:
    def __init__(self, role: str, catalogues: Sequence[Catalogue]) -> None:
        self.role, self.catalogues, self.faults = role, catalogues, Faults()
        self.kinds = frozenset[str]().union(*(catalogue.types for catalogue in catalogues))
        self.has_case = False

    def profile(self, root: Spot) -> Profile:
        needed, more = ("role", "about", "purposes", "types"), ("labels", "case", "never", "blocks")
        read, faults = self.faults.members(root, "the profile", needed, more), self.faults
        if "role" in read:
            faults.name(read["role"], "role, which is the name of the file", (self.role,))
        about = faults.text(read["about"], "about") if "about" in read else None
        purposes = faults.names(read["purposes"], "purposes", PURPOSES.codes) if "purposes" in read else ()
        labels = faults.name(read["labels"], "labels", ("shown", "hidden")) if "labels" in read else None
        case = (
            faults.members(read["case"], "case", ("roots", "without"), ("grace",)) if "case" in read else {}
        )
        roots = faults.names(case["roots"], "roots", self.kinds) if "roots" in case else ()
        without = faults.name(case["without"], "without", ("nothing", "whole")) if "without" in case else None
        self.has_case = "case" in read
        return Profile(
            role=self.role,
            about=about or "",
            purposes=frozenset(purposes),
            types=self.types(read["types"]) if "types" in read else {},
            never=self.never(read["never"]) if "never" in read else {},
            blocks=self.blocks(read["blocks"]) if "blocks" in read else None,
            roots=frozenset(roots),
            open_without_case=without == "whole",
            grace_s=self.grace(case["grace"]) if "grace" in case else None,
            shows_labels=labels == "shown",
        )

    def grace(self, spot: Spot) -> int | None:
        text = self.faults.text(spot, "grace")
        hours = _HOURS.fullmatch(text or "")
        if hours is None and text is not None:
            self.faults.add(spot, "grace is a number of hours, such as 24h")
        return None if hours is None else int(hours[1]) * 3600

    def blocks(self, spot: Spot) -> LabelRule | None:
        named = []
        for one in self.faults.items(spot, "blocks"):
            text = self.faults.text(one, "a label")
            if text is not None and not LABELS.knows(text):
                self.faults.add(one, f"blocks: there is no label {text}")
            elif text is not None:
                named.append(text)
        return LABELS.rule(named)

    def never(self, spot: Spot) -> dict[str, tuple[tuple[Term, ...], ...] | None]:
        found: dict[str, tuple[tuple[Term, ...], ...] | None] = {}
        for kind, (key, value) in self.faults.table(spot, "never").items():
            self.faults.name(key, "never", self.kinds)
            if isinstance(value, Text):
                self.faults.name(value, f"never.{kind}", (ALL,))
                found[kind] = None
            else:
                items = self.faults.items(value, f"never.{kind}")
                found[kind] = tuple(self.query(kind, one) for one in items)
        return found

    def types(self, spot: Spot) -> dict[str, TypeRule]:
        rows = self.faults.table(spot, "types")
        for key, _ in rows.values():
            self.faults.name(key, "types", {*self.kinds, ANY})
        return {kind: self.type_rule(kind, value) for kind, (_, value) in rows.items()}

    def type_rule(self, kind: str, spot: Spot) -> TypeRule:
        if isinstance(spot, Text):
            self.faults.name(spot, kind, (ALL,))
            return WHOLE
        read = self.faults.members(spot, kind, (), ("only", "keep", "drop"))
        if "keep" in read and "drop" in read:
            self.faults.add(read["drop"], f"{kind}: keep says what stays, drop what goes: one of them")
        if "keep" in read and kind == ANY:
            self.faults.add(read["keep"], "types.*: keep is for one type")
        return TypeRule(
            only=self.only(kind, read["only"]) if "only" in read else None,
            keep=self.elements(f"{kind}.keep", read["keep"]) if "keep" in read else None,
            drop=self.elements(f"{kind}.drop", read["drop"]) if "drop" in read else None,
        )

    # --- Conditions --------------------------------------------------------------------------------

    def only(self, kind: str, spot: Spot) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for one in self.faults.items(spot, f"{kind}.only"):
            if isinstance(one, Text) and one.text == IN_CASE:
                if not self.has_case:
                    self.faults.add(one, f"{kind}.only: the profile says nothing of a case")
                found.append(IN_CASE)
            elif kind == ANY:
                self.faults.add(one, "types.*: only takes case alone")
            else:
                found.append(self.query(kind, one))
        return tuple(found)

    def query(self, kind: str, spot: Spot) -> tuple[Term, ...]:
        text = self.faults.text(spot, f"a query of {kind}")
        try:
            terms = parse_constraints(text or "")
            samples = [filled(term, SAMPLES) for term in terms]
        except (Refusal, ValueError) as wrong:
            if text is not None:
                self.faults.add(spot, f"{kind}: {wrong}")
            return ()
        for term, sample in zip(terms, samples, strict=True):
            for catalogue in self.catalogues:
                known = kind in catalogue.types
                if known and (sample is None or not match.evaluable(catalogue, kind, sample)):
                    self.faults.add(spot, f"{kind}: {term.name} cannot be evaluated in {catalogue.release}")
        return terms

    # --- Elements ----------------------------------------------------------------------------------

    def elements(self, what: str, spot: Spot) -> Names:
        tree: dict[str, Names | None] = {}
        for one in self.faults.items(spot, what):
            text = self.faults.text(one, what)
            if text is None:
                continue
            if _ELEMENT.fullmatch(text) is None:
                self.faults.add(one, f"{what}: {text} is not the name of an element")
            elif not _added(tree, text.split(".")):
                self.faults.add(one, f"{what}: {text} is part of another, or the other of it")
        return tree


_ELEMENT: Final = re.compile(r"[a-z][A-Za-z0-9]*(?:\[x\])?(?:\.[a-z][A-Za-z0-9]*(?:\[x\])?)*")


def _added(tree: dict[str, Names | None], steps: Sequence[str]) -> bool:
    """Adds a path to the names, unless one of them leads through the end of the other."""
    step, rest = steps[0], steps[1:]
    if not rest:
        return tree.setdefault(step, None) is None
    below = tree.setdefault(step, {})
    return isinstance(below, dict) and _added(below, rest)
