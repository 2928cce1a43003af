"""What is remembered of bindings is what would be bound anew, and only what changed is bound again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent import remembered
from gateway.core.consent.applied import Case, frontier
from gateway.core.consent.binding import Frame, bind_consent, passes_by
from gateway.core.consent.bound import NOTHING, Binding
from gateway.core.consent.evaluate import Asker, Bound, ResourceFacts, Rules, bind
from gateway.core.consent.laid import Laid, lay
from gateway.core.consent.parts import part_of
from gateway.core.consent.remembered import Bindings
from gateway.core.consent.rule import Consent, Match, Period, State
from gateway.core.consent.rules import Implicit
from gateway.core.values import ConsentRef
from tests.core.consent.build import HASH, NOW_S, asker, consents, deny, outcome, permit, record
from tests.core.consent.generated import (
    ASKERS,
    GLASSES,
    ONLY,
    OPERATIONS,
    PERIODS,
    PURPOSES,
    RECORDS,
    RULES,
    TREES,
    consent_lists,
    law,
)

MOMENTS = st.integers(NOW_S - 2, NOW_S + 2)
"""The periods of generated consents begin and end within them."""


# --- The laws --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A request at a moment, under consents as they then are."""

    who: Asker
    what: ResourceFacts
    operation: str
    only: frozenset[str] | None
    rules: Rules
    now_s: int


def broken(who: Asker, glass: Any) -> Asker:
    return who if glass is None else replace(who, purposes=("BTG",), break_glass=glass)


WHO = st.builds(broken, ASKERS, GLASSES)


@st.composite
def changed(draw: st.DrawFn, given_: tuple[Consent, ...]) -> tuple[Consent, ...]:
    """One consent given, taken away, or in another state, form or period."""
    place = draw(st.integers(0, len(given_)))
    ref = ConsentRef(f"n{place}", draw(st.integers(0, 200)), HASH)
    made = [Consent(ref.id, "p1", draw(TREES), draw(PERIODS), frozenset(), (ref,))]
    if place < len(given_):
        old = given_[place]
        made += [
            replace(old, state=draw(st.sampled_from(State))),
            replace(old, root=draw(TREES), refs=(*old.refs, replace(ref, id=old.id))),
            replace(old, period=draw(PERIODS)),
        ]
    kept = tuple(one for one in given_[:place] if one.id != ref.id)
    after = tuple(one for one in given_[place + 1 :] if one.id != ref.id)
    return draw(st.sampled_from([(*kept, *after), *((*kept, one, *after) for one in made)]))


def alike(who: Asker) -> st.SearchStrategy[Asker]:
    """Askers of whom one thing is otherwise."""
    return st.sampled_from(
        [
            replace(who, known=frozenset({"client"})),
            replace(who, settled=who.settled ^ {"group:g"}),
            replace(who, patient=None if who.patient else "p1"),
            replace(who, purposes=("HRESCH",)),
        ]
    )


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[tuple[Consent, ...], Asked]]:
    """Few askers who come again and again, in seconds that go to and fro, while consents change."""
    askers = [first := draw(WHO), draw(st.one_of(WHO, alike(first)))]
    rules = draw(st.lists(RULES, min_size=1, max_size=2))
    given_ = tuple(draw(consent_lists()))
    course = []
    for _ in range(draw(st.integers(2, 6))):
        if draw(st.booleans()):
            given_ = draw(changed(given_))
        one_of = draw(st.sampled_from([rules[:1], rules]))
        course.append(
            (
                given_,
                Asked(
                    draw(st.sampled_from(askers)),
                    draw(RECORDS),
                    draw(OPERATIONS),
                    draw(ONLY),
                    draw(st.sampled_from(one_of)),
                    draw(MOMENTS),
                ),
            )
        )
    return course


def answers(made: Bound, asked: Asked) -> list[object]:
    """All that can be asked of consents that are bound."""
    found: list[object] = [made.judge(asked.what, asked.operation)]
    for patient in ("p1", "p2"):
        for kind in ("Observation", "Condition"):
            question = (patient, kind, asked.operation)
            found += [made.may_permit(*question), made.barred(*question), made.why_not(*question)]
        found += [made.label_sensitive(patient), made.weighs_labels(patient)]
        found += [made.named(patient), made.authors(patient), made.coverage(patient)]
    return found


@law(4)
@given(courses(), st.sampled_from([(1, 10), (8, 1), (8, 6), (8, 1000)]), st.booleans())
def test_remembered_or_anew_is_the_same(
    course: list[tuple[tuple[Consent, ...], Asked]], limits: tuple[int, int], followed: bool
) -> None:
    bindings = Bindings(*limits)
    for given_, asked in course:

        def of(patient: str, given_: Sequence[Consent] = given_) -> Sequence[Consent]:
            own = tuple(consent for consent in given_ if consent.patient == patient)
            return given_ if own == given_ else own

        if followed:
            bindings.follow(of)
        request = (of, asked.who, asked.now_s, asked.only, asked.rules)
        assert answers(bind(*request, bindings), asked) == answers(bind(*request), asked)


FRAMES = st.builds(Frame, ASKERS, st.sampled_from([None, *PURPOSES]), MOMENTS, RULES, st.booleans())


def laid(consent: Consent, frame: Frame) -> Laid:
    return lay(consent, frame.rules.labels)


@law()
@given(consent_lists(), FRAMES)
def test_a_binding_holds_throughout_its_span(given_: list[Consent], frame: Frame) -> None:
    for consent in given_:
        here = bind_consent(laid(consent, frame), frame)
        assert here.span.includes(frame.now_s)
        for now_s in range(NOW_S - 4, NOW_S + 5):
            there = bind_consent(laid(consent, frame), replace(frame, now_s=now_s))
            if here.span.includes(now_s):
                assert there == here


@law()
@given(consent_lists(), FRAMES)
def test_what_passes_by_comes_to_nothing_at_any_time(given_: list[Consent], frame: Frame) -> None:
    for consent in given_:
        if passes_by(consent, frame):
            for now_s in range(NOW_S - 2, NOW_S + 3):
                bound = bind_consent(laid(consent, frame), replace(frame, now_s=now_s))
                assert bound._replace(span=NOTHING.span) == NOTHING


@law()
@given(consent_lists(), FRAMES, RECORDS, OPERATIONS)
def test_who_may_decide_about_a_type_decides_about_a_record(
    given_: list[Consent], frame: Frame, what: ResourceFacts, operation: str
) -> None:
    contained = frame.rules.contained
    bound = [bind_consent(laid(consent, frame), frame) for consent in given_]
    part = part_of(bound, contained=contained, implied=frame.implied)
    case = Case(what, operation, frame.rules.labels)
    deciding = [
        node
        for tree, always in part.candidates(what.type, operation)
        for node in ([always] if always is not None else frontier(tree.root, case, contained))
    ]
    assert deciding == [node for tree in part.trees for node in frontier(tree.root, case, contained)]


# --- What is bound again ---------------------------------------------------------------------------


@dataclass
class Counted:
    """Bindings that say which consents were bound, by id, since that was last asked."""

    bindings: Bindings
    seen: list[str] = field(default_factory=list)

    def bound(self, given_: Sequence[Consent], who: Asker | None = None, now_s: int = NOW_S) -> list[str]:
        made = bind(lambda _: given_, who or asker(), now_s, None, bindings=self.bindings)
        assert outcome(made.judge(record(), "r")) == "permit"
        self.seen, seen = [], self.seen
        return seen


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counted]:
    def make(*limits: int) -> Counted:
        made = Counted(Bindings(*limits))

        def watched(laid_: Laid, frame: Frame) -> Binding:
            made.seen.append(laid_.consent.id)
            return bind_consent(laid_, frame)

        monkeypatch.setattr(remembered, "bind_consent", watched)
        return made

    return make


MANY = tuple(consents(*(permit(actors="client:app-1", scopes="patient/*.rs") for _ in range(3))))
ALL = ["c0", "c1", "c2"]


def test_another_second_and_another_token_bind_nothing(counted: Callable[..., Counted]) -> None:
    made = counted()
    assert made.bound(MANY) == ALL
    assert made.bound(MANY, now_s=NOW_S + 1) == []
    assert made.bound(list(MANY), replace(asker(), patient="p1")) == []


def test_another_asker_purpose_or_rule_binds_anew(counted: Callable[..., Counted]) -> None:
    made = counted()
    others = [
        asker(),
        replace(asker(), identities=frozenset({"client:app-1", "organization:o"})),
        replace(asker(), known=frozenset({"client"})),
        replace(asker(), settled=frozenset({"group:g"})),
        asker(purposes="HRESCH"),
    ]
    for who in others:
        assert made.bound(MANY, who) == ALL
    bind(lambda _: MANY, asker(), NOW_S, None, Rules(contained=True), made.bindings).coverage("p1")
    assert made.bound(MANY) == [*ALL, *ALL]


def test_what_is_implied_of_one_patient_is_not_of_another() -> None:
    bindings, rules = Bindings(), Rules(Implicit.ALL_NORMAL)

    def verdict(patient: str | None) -> str:
        made = bind(lambda _: (), replace(asker(), patient=patient), NOW_S, None, rules, bindings)
        return outcome(made.judge(record(), "r"))

    assert [verdict("p1"), verdict(None), verdict("p1")] == ["permit", "no_consent", "permit"]


def test_a_change_binds_what_changed(counted: Callable[..., Counted]) -> None:
    made = counted()
    made.bound(MANY)
    fewer = (MANY[0], replace(MANY[1], state=State.REVOKED), MANY[2])
    assert made.bound(fewer) == ["c1"]
    assert made.bound(fewer[::2]) == []
    assert made.bound(MANY) == ["c1"]


def test_a_period_that_begins_or_ends_binds_its_consent(counted: Callable[..., Counted]) -> None:
    made = counted()
    until, since = (replace(MANY[n], period=p) for n, p in ((1, Period(None, NOW_S)), (2, Period(NOW_S + 2))))
    given_ = (MANY[0], until, since)
    found = [made.bound(given_, now_s=NOW_S + later) for later in (-1, 0, 1, 2, 3, 1)]
    assert found == [ALL, [], ["c1"], ["c2"], [], ["c2"]]


def test_only_so_much_is_remembered(counted: Callable[..., Counted]) -> None:
    made = counted(8, 5)
    other = asker(purposes="HRESCH")
    assert [made.bound(MANY), made.bound(MANY)] == [ALL, []]
    assert [made.bound(MANY, other), made.bound(MANY, other)] == [ALL, ALL]


# --- What is kept ----------------------------------------------------------------------------------


class Named(frozenset[str]):
    """Who is named by a consent, so that it can be told when that is gone."""


def ask(bindings: Bindings, given_: Sequence[Consent], patient: str = "p1") -> None:
    bind(lambda _: given_, asker(), NOW_S, None, bindings=bindings).coverage(patient)


AFTERWARDS: list[tuple[str, bool, Callable[[Bindings], None]]] = [
    ("nothing", True, lambda _: None),
    ("another patient is asked about", True, lambda bindings: ask(bindings, (), "p2")),
    ("the patient is asked about again", False, lambda bindings: ask(bindings, MANY)),
    ("others are followed", False, lambda bindings: bindings.follow(lambda _: MANY)),
    ("none is left", False, lambda bindings: bindings.follow(lambda _: ())),
]


@pytest.mark.parametrize(
    ("kept", "about"), [row[1:] for row in AFTERWARDS], ids=[row[0] for row in AFTERWARDS]
)
def test_nothing_is_kept_of_a_consent_that_is_gone(kept: bool, about: Callable[[Bindings], None]) -> None:
    def of_a_consent() -> weakref.ref[Named]:
        named = Named({"client:app-2"})
        consent = replace(MANY[0], id="c9", root=deny(deny(actors="client:app-1")))
        consent = replace(consent, root=replace(consent.root, match=Match(named)))
        ask(bindings, (*MANY, consent))
        return weakref.ref(named)

    bindings = Bindings()
    left = of_a_consent()
    about(bindings)
    gc.collect()
    assert (left() is not None) is kept
