"""Cases: the records that belong to an encounter, episode, order, prescription, claim or appointment.

A case is followed from its root along the links of its rule (`case_table`) and no others; what is reached
is kept by the place in the rule where it was reached, so that a record can be told to belong by its own
references. Nothing is fetched here: what has to be read first is said as wishes. Whether a member may be
seen is for consents to say; a case only narrows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.core.consent.rule import Period
from gateway.core.fhir.case_table import CaseRule, Inward
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.coded import kind_of
from gateway.core.fhir.compartment import reference_of
from gateway.core.fhir.content_table import Paths
from gateway.core.fhir.dates import clinical_times
from gateway.core.fhir.elements import values_at
from gateway.core.fhir.literals import END, START
from gateway.core.fhir.matchers import any_of
from gateway.core.fhir.paths import referred_type
from gateway.core.fhir.refers import means
from gateway.core.values import Ref, Term

_BEFORE_S: Final = 15 * 60
GRACE_S: Final = 24 * 3600

_Bases = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wish:
    """A search for records of type `kind` without which a case cannot be followed."""

    kind: str
    term: Term


Answers = Mapping[Wish, Sequence[Tree]]
"""What the searches found: resources of the wished type, with an id."""


@dataclass(frozen=True, slots=True)
class Case:
    """`reached` gives the records found, by place in the root's rule; the root is at ``."""

    root: Ref
    reached: Mapping[str, frozenset[Ref]]

    @property
    def members(self) -> frozenset[Ref]:
        """What is known by name to belong; others belong by what they refer to, see `is_member`."""
        return frozenset().union(*self.reached.values())


def closure(root: Ref, answers: Answers, catalogue: Catalogue, bases: _Bases) -> Case | tuple[Wish, ...]:
    """The case of `root`, or the wishes that are not in `answers` yet.

    Raises:
        ValueError: there are no cases of the root's type.
    """
    rule = catalogue.case(root.type)
    if rule is None:
        raise ValueError("no case begins with a record of this type")
    walk = _Walk(answers, bases)
    walk.follow("", frozenset({root}), rule)
    return tuple(walk.open) or Case(root, walk.reached)


def is_member(case: Case, record: Ref, tree: Tree, catalogue: Catalogue, bases: _Bases) -> bool | None:
    """Whether the record, whose JSON is `tree`, belongs to the case: by name or by its own references. None
    if one of these may mean a member and does not say so."""
    rule = catalogue.case(case.root.type)
    if rule is None or any(record in reached for reached in case.reached.values()):
        return rule is not None
    return any_of(
        means(value, bases, member)
        for place, link in _inward("", rule)
        if link.type in (None, record.type)
        for value in _values(tree, link, catalogue)
        for member in case.reached.get(place, ())
    )


def may_hold(root: str, kind: str, catalogue: Catalogue) -> bool:
    """Whether a record of type `kind` can belong to a case that begins with one of type `root`, whatever the
    records say."""
    rule = catalogue.case(root)
    return rule is not None and (kind == root or _may_reach(rule, kind, catalogue))


def window(tree: Tree, catalogue: Catalogue, grace_s: int = GRACE_S) -> Period | None:
    """When a consultation may be worked on: from a quarter of an hour before it begins until `grace_s` after
    it ends, or after it begins if it has no end yet. None for one whose times are not all said, and one that
    does not take place: by its status, or because a patient declined."""
    rule, status = catalogue.case(kind_of(tree)), tree.get("status")
    if rule is None or type(status) is not str or status not in rule.takes_place or _is_declined(tree):
        return None
    times = clinical_times(tree, catalogue.content(kind_of(tree)))
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times):
        return None
    begins, ends = min(time.low for time in known), max(time.high for time in known)
    if begins == START:
        return None
    until = begins if ends == END else ends
    return Period(int(begins.timestamp()) - _BEFORE_S, int(until.timestamp()) + grace_s)


def _is_declined(tree: Tree) -> bool:
    """Whether a patient who would take part has declined, or somebody of whom that cannot be told."""
    people = tree.get("participant", [])
    return type(people) is not list or any(
        type(one) is not dict
        or (one.get("status") == "declined" and referred_type(one.get("actor")) in (None, "Patient"))
        for one in people
    )


# --- Following -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Walk:
    answers: Answers
    bases: _Bases
    reached: dict[str, frozenset[Ref]] = field(default_factory=dict)
    open: dict[Wish, None] = field(default_factory=dict)

    def follow(self, place: str, refs: frozenset[Ref], rule: CaseRule) -> None:
        """Notes `refs` at `place` and goes on from there. The rule is a tree, so this ends."""
        self.reached[place] = refs
        for path, below in rule.outward:
            named = (reference_of(v, self.bases) for tree in self._read(refs) for v in values_at(tree, path))
            self.follow(_join(place, path.text), frozenset(ref for ref in named if ref is not None), below)
        for link in rule.inward:
            if not link.rule.is_end:
                self.follow(_join(place, link.name), frozenset(self._holders(link, refs)), link.rule)

    def _read(self, refs: frozenset[Ref]) -> Iterator[Tree]:
        for kind in sorted({ref.type for ref in refs}):
            ids = tuple(sorted(ref.id for ref in refs if ref.type == kind))
            trees = self._answer(Wish(kind, Term("_id", ids)))
            yield from (tree for tree in trees if (tree.get("resourceType"), tree.get("id")) in _keys(refs))

    def _holders(self, link: Inward, refs: frozenset[Ref]) -> Iterator[Ref]:
        assert link.type is not None, "records of any type are not gone through"
        assert link.path is not None
        assert link.search is not None
        if refs:
            for tree in self._answer(Wish(link.type, Term(link.search, tuple(sorted(map(str, refs)))))):
                held = (reference_of(value, self.bases) for value in values_at(tree, link.path))
                if not refs.isdisjoint(held) and kind_of(tree) == link.type:
                    yield Ref(link.type, tree["id"])

    def _answer(self, wish: Wish) -> Sequence[Tree]:
        if wish not in self.answers:
            self.open[wish] = None
        return self.answers.get(wish, ())


def _keys(refs: frozenset[Ref]) -> frozenset[tuple[str, str]]:
    return frozenset((ref.type, ref.id) for ref in refs)


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _may_reach(rule: CaseRule, kind: str, catalogue: Catalogue) -> bool:
    if rule.outward:
        return True  # what an element names may be of any type
    made_in = bool(catalogue.content(kind).encounter)
    return any(
        (made_in if link.type is None else link.type == kind) or _may_reach(link.rule, kind, catalogue)
        for link in rule.inward
    )


# --- One record ------------------------------------------------------------------------------------


def _inward(place: str, rule: CaseRule) -> Iterator[tuple[str, Inward]]:
    """Every link by which a record belongs for what it refers to, and the place of what it must refer to."""
    for link in rule.inward:
        yield place, link
        yield from _inward(_join(place, link.name), link.rule)
    for path, below in rule.outward:
        yield from _inward(_join(place, path.text), below)


def _values(tree: Tree, link: Inward, catalogue: Catalogue) -> Iterator[object]:
    paths: Paths = catalogue.content(kind_of(tree)).encounter if link.path is None else (link.path,)
    return (value for path in paths for value in values_at(tree, path))
