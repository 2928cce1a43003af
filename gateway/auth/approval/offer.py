"""What an app asks for, as boxes that a person can untick; and what the ticked ones let it have.

What is not ticked is not granted, whatever else is. A scope for every kind of record, or for the whole of
one, is kept whole only while everything that it covers is ticked, the last box of it included: "other
kinds, also those that come later". Otherwise it becomes scopes for exactly what is ticked. Pure: values in,
values out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.auth.approval.words import GROUPS, Category, Group, TypeWords, Words
from gateway.core.smart.constraints import format_constraints
from gateway.core.smart.grant import REFRESH, Granted
from gateway.core.values import Scope, Term

LATER, WRITE, STAY = "later", "write", "stay"
REST = "rest"
OTHERS = "All others, if every part above is ticked"
OTHERS_SAYS = (
    "Also those of no category. Once a part above is left out, the app gets only the parts that are ticked."
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one kind of records; `terms` are what its scopes say of it, None for all that have no box
    of their own."""

    key: str
    name: str
    says: str
    terms: tuple[Term, ...] | None


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of records. `whole`: all of it was asked for, so that its parts are ours to propose."""

    key: str
    type: str
    words: TypeWords
    whole: bool
    parts: tuple[Part, ...]
    reads: bool
    writes: bool

    def is_whole(self, ticked: Mapping[str, str]) -> bool:
        """Whether none of its parts is left out in a form's fields."""
        return all(ticked.get(part.key) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Offer:
    """`later` is whether all kinds were asked for, and with them those that come later; `refresh` is the
    scope that lets the app come back, `offline_access` or `online_access`."""

    granted: Granted
    rows: tuple[Row, ...]
    later: bool
    writes: bool
    refresh: str | None

    def of_group(self, group: Group) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.words.group == group)

    def is_whole(self, ticked: Mapping[str, str]) -> bool:
        """Whether none of the records is left out in a form's fields."""
        return all(ticked.get(key) for key in self.data_keys)

    @property
    def data_keys(self) -> frozenset[str]:
        """The boxes that stand for records."""
        own = {LATER} if self.later else set()
        return frozenset(own.union(*({row.key, *(part.key for part in row.parts)} for row in self.rows)))

    @property
    def keys(self) -> frozenset[str]:
        further = {WRITE: self.writes, STAY: self.refresh is not None}
        return self.data_keys | {key for key, offered in further.items() if offered}


@dataclass(frozen=True, slots=True)
class Choice:
    """For `grant.narrow_request`: what is still asked, and what was chosen, both as `scope` texts."""

    asked: str
    chosen: str


def offer(granted: Granted, words: Words, types: Collection[str]) -> Offer:
    """The boxes for what can be granted; `types` are those of the FHIR base."""
    later = any(scope.type == "*" for scope in granted.scopes)
    asked = {scope.type for scope in granted.scopes if scope.type != "*"}
    shown = asked | (words.types.keys() & set(types) if later else set())
    rows = [_row(kind, granted.scopes, words) for kind in shown]
    order = {kind: place for place, kind in enumerate(words.types)}
    rows.sort(key=lambda row: (GROUPS.index(row.words.group), order.get(row.type, len(order)), row.type))
    return Offer(
        granted=granted,
        rows=tuple(rows),
        later=later,
        writes=any(row.writes for row in rows),
        refresh=next((word for word in REFRESH if word in granted.context), None),
    )


def choose(offered: Offer, ticked: Collection[str], without: Collection[str] = ()) -> Choice:
    """What the ticked boxes come to. `without` are launch scopes that nothing can be told for."""
    operations = "cruds" if WRITE in ticked or not offered.writes else "rs"
    levels = tuple(dict.fromkeys(scope.level for scope in offered.granted.scopes))
    kinds = ["*"] if offered.later and offered.data_keys <= set(ticked) else _chosen(offered, ticked)
    rights = [f"{level}/{_written(kind, operations)}" for level in levels for kind in kinds]
    left_out = {*without, *(() if STAY in ticked else REFRESH)}
    context = [word for word in offered.granted.context if word not in left_out]
    dropped = set(_unticked(offered, ticked))
    asked = [word for word in offered.granted.text.split(" ") if word not in dropped]
    return Choice(" ".join(asked), " ".join([*rights, *context]))


# --- Boxes -----------------------------------------------------------------------------------------


def _row(kind: str, scopes: Sequence[Scope], words: Words) -> Row:
    mine = [scope for scope in scopes if scope.type in (kind, "*")]
    whole = any(not scope.constraints for scope in mine)
    known = words.categories.get(kind, ())
    letters = {letter for scope in mine for letter in scope.operations}
    return Row(
        key=f"t.{kind}",
        type=kind,
        words=words.of_type(kind),
        whole=whole,
        parts=tuple(_proposed(kind, known) if whole else _asked_for(kind, mine, words)),
        reads=not letters.isdisjoint("rs"),
        writes=not letters.isdisjoint("cud"),
    )


def _proposed(kind: str, known: Sequence[Category]) -> Iterator[Part]:
    for category in known:
        yield Part(f"p.{kind}.{category.code}", category.name, category.says, category.terms)
    if known:
        yield Part(f"p.{kind}.{REST}", OTHERS, OTHERS_SAYS, None)


def _asked_for(kind: str, scopes: Iterable[Scope], words: Words) -> Iterator[Part]:
    """The parts that the app's own scopes name, each once."""
    known = {category.terms: category for category in words.categories.get(kind, ())}
    for number, terms in enumerate(dict.fromkeys(scope.constraints for scope in scopes)):
        category = known.get(terms)
        key, says = (number, "") if category is None else (category.code, category.says)
        yield Part(f"p.{kind}.{key}", words.of_part(kind, terms), says, terms)


# --- What was ticked -------------------------------------------------------------------------------


def _chosen(offered: Offer, ticked: Collection[str]) -> list[tuple[str, tuple[Term, ...]]]:
    """Kinds, each with the terms that limit it."""
    kinds: list[tuple[str, tuple[Term, ...]]] = []
    for row in offered.rows:
        if row.key not in ticked:
            continue
        on = [part for part in row.parts if part.key in ticked]
        if not row.parts or (row.whole and len(on) == len(row.parts)):
            kinds.append((row.type, ()))
        else:
            kinds += [(row.type, part.terms) for part in on if part.terms is not None]
    return kinds


def _written(kind: str | tuple[str, tuple[Term, ...]], operations: str) -> str:
    name, terms = (kind, ()) if isinstance(kind, str) else kind
    return f"{name}.{operations}" + (f"?{format_constraints(terms)}" if terms else "")


def _unticked(offered: Offer, ticked: Collection[str]) -> Iterator[str]:
    """The app's own scopes for parts that are not ticked: so that none comes back as what it has in common
    with a part that is."""
    for row in offered.rows:
        off = {part.terms for part in row.parts if row.key not in ticked or part.key not in ticked}
        if not row.whole:
            yield from (s.text for s in offered.granted.scopes if s.type == row.type and s.constraints in off)
