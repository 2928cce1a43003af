"""A role's file as a profile (docs/roles.md). Unknown means no: a key, type, purpose, label or search
parameter that is not known is a fault, told with its line.

A query has to be one that the gateway evaluates itself, on a record of the type, in every FHIR release that
has the type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.core.consent.labels import LABELS, LabelRule
from gateway.core.consent.purposes import PURPOSES
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.roles.elements import joined
from gateway.core.roles.placeholders import SAMPLES, filled
from gateway.core.roles.profile import WHOLE, Condition, More, Names, Profile, Typed, TypeRule
from gateway.core.roles.source import Faults, Listed, Spot, Table, Text
from gateway.core.smart.constraints import Refusal, parse_constraints
from gateway.core.studies.elements import ELEMENTS, makes, needed
from gateway.core.values import Term

ANY: Final = "*"
ALL: Final = "all"
STUDY: Final = "study"
CASE: Final = "case"


_HOURS: Final = re.compile(r"(\d{1,4})h")
_LIFETIME: Final = re.compile(r"([1-9]|1\d|2[0-4])h")


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
        needed = ("role", "about", "purposes", "types")
        more = ("labels", "case", "lifetime", "never", "blocks", "transform")
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
        if "transform" in read:
            self.transform(read)
        blocks, unless = self.blocks(read["blocks"]) if "blocks" in read else (None, ())
        return Profile(
            role=self.role,
            about=about or "",
            purposes=frozenset(purposes),
            types=self.types(read["types"]) if "types" in read else {},
            never=self.never(read["never"]) if "never" in read else {},
            blocks=blocks,
            blocks_unless=unless,
            roots=frozenset(roots),
            open_without_case=without == "whole",
            grace_s=self.grace(case["grace"]) if "grace" in case else None,
            shows_labels=labels == "shown",
            lifetime_s=self.lifetime(read["lifetime"]) if "lifetime" in read else None,
            in_studies="transform" in read,
        )

    def grace(self, spot: Spot) -> int | None:
        return self.hours(spot, "grace", _HOURS, "a number of hours, such as 24h")

    def lifetime(self, spot: Spot) -> int | None:
        return self.hours(spot, "lifetime", _LIFETIME, "a number of hours from 1h to 24h")

    def hours(self, spot: Spot, what: str, form: re.Pattern[str], told: str) -> int | None:
        """So many hours, in seconds."""
        text = self.faults.text(spot, what)
        hours = form.fullmatch(text or "")
        if hours is None and text is not None:
            self.faults.add(spot, f"{what} is {told}")
        return None if hours is None else int(hours[1]) * 3600

    def blocks(self, spot: Spot) -> tuple[LabelRule | None, tuple[tuple[str, LabelRule], ...]]:
        """The labels that are blocked, and by purpose those that it opens."""
        named: dict[str | None, list[str]] = {}
        for one in self.faults.items(spot, "blocks"):
            row = self.faults.members(one, "a label", ("label", "unless")) if isinstance(one, Table) else {}
            unless = self.faults.name(row["unless"], "unless", PURPOSES.codes) if "unless" in row else None
            label = row.get("label", one)
            text = None if isinstance(label, Table) else self.faults.text(label, "a label")
            if text is not None and not LABELS.knows(text):
                self.faults.add(label, f"blocks: there is no label {text}")
            elif text is not None:
                named.setdefault(unless, []).append(text)
        rules = {unless: LABELS.rule(texts) for unless, texts in named.items()}
        opened = ((unless, rule) for unless, rule in rules.items() if unless is not None and rule is not None)
        return rules.get(None), tuple(opened)

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
        read = self.faults.members(spot, kind, (), ("only", "keep", "drop", "more"))
        if "keep" in read and "drop" in read:
            self.faults.add(read["drop"], f"{kind}: keep says what stays, drop what goes: one of them")
        if "keep" in read and kind == ANY:
            self.faults.add(read["keep"], "types.*: keep is for one type")
        if "more" in read and "keep" not in read:
            self.faults.add(read["more"], f"{kind}: more is beside keep")
        keep = self.elements(f"{kind}.keep", read["keep"], kind) if "keep" in read else None
        return TypeRule(
            only=self.only(kind, read["only"]) if "only" in read else None,
            keep=keep,
            more=self.more(kind, read["more"], keep) if keep is not None and "more" in read else (),
            drop=self.elements(f"{kind}.drop", read["drop"]) if "drop" in read else None,
        )

    # --- Studies -----------------------------------------------------------------------------------

    def transform(self, read: Mapping[str, Spot]) -> None:
        """Records of a study are made anew: of what can be, and nothing else."""
        faults = self.faults
        faults.name(read["transform"], "transform", (STUDY,))
        for name in {"labels", "case"} & read.keys():
            faults.add(read[name], f"transform: a study has no {name}")
        for kind, (key, rule) in _rows(read.get("types")).items():
            keep = _rows(rule).get("keep")
            if kind not in ELEMENTS:
                faults.add(key, f"transform: {kind} cannot be made anew")
            elif keep is None:
                faults.add(key, f"transform: {kind} has to say what it keeps")
            else:
                self.kept(kind, keep[1])

    def kept(self, kind: str, keep: Spot) -> None:
        spots = [one for one in (keep.spots if isinstance(keep, Listed) else ()) if isinstance(one, Text)]
        names = {one.text.partition(".")[0]: one for one in spots}
        for name, one in names.items():
            if not makes(kind, name):
                self.faults.add(one, f"transform: {kind}.{name} cannot be made anew")
        for name in needed(kind, frozenset(names)):
            self.faults.add(keep, f"transform: {kind} has to keep {name}")

    # --- Conditions --------------------------------------------------------------------------------

    def only(self, kind: str, spot: Spot) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for one in self.faults.items(spot, f"{kind}.only"):
            first, both, rest = one.text.partition("&") if isinstance(one, Text) else ("", "", "")
            in_case = first == CASE
            if in_case and not self.has_case:
                self.faults.add(one, f"{kind}.only: the profile says nothing of a case")
            if kind == ANY and (both or not in_case):
                self.faults.add(one, "types.*: only takes case alone")
            elif in_case:
                found.append(Condition(self.query(kind, Text(rest, one.line)) if both else (), in_case=True))
            else:
                found.append(Condition(self.query(kind, one)))
        return tuple(found)

    def more(self, kind: str, spot: Spot, keep: Names) -> tuple[More, ...]:
        found = []
        for one in self.faults.items(spot, f"{kind}.more"):
            read = self.faults.members(one, f"{kind}.more", ("when", "keep"))
            if "when" in read and "keep" in read:
                names = self.elements(f"{kind}.more.keep", read["keep"], kind)
                if names and joined(keep, names) == keep:
                    self.faults.add(read["keep"], f"{kind}.more.keep: all of it is kept anyway")
                found.append(More(self.query(kind, read["when"], everywhere=False), names))
        return tuple(found)

    def query(self, kind: str, spot: Spot, *, everywhere: bool = True) -> tuple[Term, ...]:
        """A query that each release of those that have the type can evaluate, or if not `everywhere` one."""
        text = self.faults.text(spot, f"a query of {kind}")
        try:
            terms = parse_constraints(text or "")
            samples = [filled(term, SAMPLES) for term in terms]
        except (Refusal, ValueError) as wrong:
            if text is not None:
                self.faults.add(spot, f"{kind}: {wrong}")
            return ()
        known = [catalogue for catalogue in self.catalogues if kind in catalogue.types]
        for term, sample in zip(terms, samples, strict=True):
            missing: list[str] = [
                catalogue.release
                for catalogue in known
                if sample is None or not match.evaluable(catalogue, kind, sample)
            ]
            if not everywhere:
                missing = ["any release"] if known and len(missing) == len(known) else []
            for release in missing:
                self.faults.add(spot, f"{kind}: {term.name} cannot be evaluated in {release}")
        return terms

    # --- Elements ----------------------------------------------------------------------------------

    def elements(self, what: str, spot: Spot, typed_of: str | None = None) -> Names:
        """The elements of a list; those of `typed_of`, a type of records, may be Identifiers of one type."""
        tree: dict[str, Names | Typed | None] = {}
        for one in self.faults.items(spot, what):
            text = self.faults.text(one, what)
            if text is None:
                continue
            typed = _TYPED.fullmatch(text)
            if typed is None and _ELEMENT.fullmatch(text) is None:
                self.faults.add(one, f"{what}: {text} is not the name of an element")
            elif typed is not None and typed_of is None:
                self.faults.add(one, f"{what}: {text}: a type stands in what is kept")
            elif typed is not None and not self.holds_identifiers(typed_of or "", typed[1]):
                self.faults.add(one, f"{what}: {typed[1]} does not hold Identifiers")
            elif not (_added(tree, text.split(".")) if typed is None else _added_type(tree, *typed.groups())):
                self.faults.add(one, f"{what}: {text} is part of another, or the other of it")
        return tree

    def holds_identifiers(self, kind: str, element: str) -> bool:
        """Whether it is what the search parameter `identifier` reads, in one of the releases: Identifiers."""
        params = [catalogue.param(kind, "identifier") for catalogue in self.catalogues]
        return any(path.text == element for param in params if param is not None for path in param.paths)


def _rows(spot: Spot | None) -> dict[str, tuple[Spot, Spot]]:
    """Key and value by the text of the key, of a table whose faults are told elsewhere."""
    rows = spot.rows if isinstance(spot, Table) else ()
    return {key.text: (key, value) for key, value in rows if isinstance(key, Text)}


_ELEMENT: Final = re.compile(r"[a-z][A-Za-z0-9]*(?:\[x\])?(?:\.[a-z][A-Za-z0-9]*(?:\[x\])?)*")

_TYPED: Final = re.compile(r"([a-z][A-Za-z0-9]*)\[type=([A-Z][A-Z&]*)\]")


def _added(tree: dict[str, Names | Typed | None], steps: Sequence[str]) -> bool:
    """Adds a path to the names, unless one of them leads through the end of the other."""
    step, rest = steps[0], steps[1:]
    if not rest:
        return tree.setdefault(step, None) is None
    below = tree.setdefault(step, {})
    return isinstance(below, dict) and _added(below, rest)


def _added_type(tree: dict[str, Names | Typed | None], name: str, code: str) -> bool:
    """Adds the Identifiers of a type, unless others are named in another way."""
    known = tree.get(name, Typed(frozenset()))
    if isinstance(known, Typed):
        tree[name] = Typed(known.codes | {code})
    return isinstance(known, Typed)
