"""Laws of evaluation over generated consents, and an oracle written straight from the algorithm.

The oracle keeps whole rules and three values to the end; the engine settles the request first, prunes and
remembers. They must agree on everything.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.consent.evaluate import Asker, Because, Permitted, Reason, Refused, ResourceFacts
from gateway.core.consent.labels import CONFIDENTIALITY, LABELS
from gateway.core.consent.purposes import covers
from gateway.core.consent.rule import ALWAYS, KINDS, Consent, Effect, Match, Node, Period, State, walk
from gateway.core.values import ConsentRef, Label, Term
from tests.core.consent.build import HASH, NOW_S, bound, label, nodes, placed, scope

ACTORS = ("client:a", "client:b", "organization:o", "practitioner:d")
PURPOSES = ("TREAT", "ETREAT", "HRESCH")
SCOPES = (
    "patient/*.rs", "patient/Observation.rs", "patient/Observation.r", "patient/Condition.s",
    "patient/Observation.rs?code=1", "patient/*.rs?code=1&status=2",
)  # fmt: skip
CODES = ("N", "R", "V", "HIV", "SUD", "ETHUD", "https://x.example|Z")
FOREIGN = label("https://y.example|Q")
ODD = (Label("", ""), label("hiv"), Label(CONFIDENTIALITY, "NR"), Label("", "Hiv "))

PERIODS = st.sampled_from([ALWAYS, ALWAYS, ALWAYS, Period(NOW_S), Period(NOW_S + 1), Period(None, NOW_S - 1)])


def some(values: Sequence[str], most: int = 2) -> st.SearchStrategy[frozenset[str]]:
    return st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(values), max_size=most))


MATCHES = st.builds(
    Match,
    actors=some(ACTORS),
    purposes=some(PURPOSES),
    scopes=some(SCOPES).map(lambda texts: tuple(map(scope, sorted(texts)))),
    labels=some(CODES),
    period=PERIODS,
)


def trees(effects: st.SearchStrategy[Effect]) -> st.SearchStrategy[Node]:
    leaves = st.builds(Node, effects, MATCHES)
    deeper = st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda node, exceptions: placed(node, exceptions), leaves, st.lists(inner, min_size=1, max_size=2)
        ),
        max_leaves=5,
    )
    return st.one_of(leaves, deeper)


TREES = trees(st.sampled_from(Effect))


@st.composite
def consent_lists(draw: st.DrawFn, most: int = 4) -> list[Consent]:
    made = []
    for number in range(draw(st.integers(0, most))):
        name = f"c{number}"
        earlier = [f"c{before}" for before in range(number)]
        made.append(
            Consent(
                name,
                draw(st.sampled_from(["p1", "p1", "p1", "p2"])),
                draw(TREES),
                draw(PERIODS),
                draw(st.frozensets(st.sampled_from(earlier), max_size=1)) if earlier else frozenset(),
                (ConsentRef(name, number, HASH),),
                draw(st.sampled_from([State.LIVE, State.LIVE, State.LIVE, *State])),
            )
        )
    return made


ASKERS = st.builds(
    Asker,
    some(ACTORS),
    st.frozensets(st.sampled_from(sorted(KINDS))).map(lambda kinds: kinds | {"client"}),
    st.sampled_from([None, None, None, "p1"]),
    st.lists(st.sampled_from((*PURPOSES, "COC")), max_size=2).map(tuple),
)


class Content:
    """The constraints of a record's content: each term holds, does not, or cannot be told."""

    def __init__(self, answers: dict[str, bool | None]) -> None:
        self.answers = answers

    def __call__(self, term: Term) -> bool | None:
        return self.answers.get(term.name)

    def __repr__(self) -> str:
        return f"Content({self.answers})"


THREE = st.sampled_from([True, False, None])
RECORDS = st.builds(
    ResourceFacts,
    st.sampled_from(["Observation", "Condition"]),
    st.frozensets(st.sampled_from([*map(label, CODES), FOREIGN, *ODD, label("MASK")]), max_size=3),
    st.sampled_from([frozenset({"p1"}), frozenset({"p1"}), frozenset({"p1", "p2"}), frozenset()]),
    st.fixed_dictionaries({"code": THREE, "status": THREE}).map(Content),
)
OPERATIONS = st.sampled_from("rs")
ONLY = st.one_of(st.none(), st.frozensets(st.sampled_from(["c0", "c1", "c2", "c3"])))


def permitted(
    given_: Sequence[Consent],
    who: Asker,
    what: ResourceFacts,
    operation: str = "r",
    only: frozenset[str] | None = None,
    contained: bool = False,
) -> bool:
    made = bound(given_, who, only=only, contained=contained)
    return isinstance(made.judge(what, operation), Permitted)


# --- The oracle ------------------------------------------------------------------------------------


def _all(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _any(values: list[bool | None]) -> bool | None:
    if True in values:
        return True
    return None if None in values else False


class Oracle:
    def __init__(
        self, who: Asker, what: ResourceFacts, operation: str, only: frozenset[str] | None, contained: bool
    ) -> None:
        self.who, self.what, self.operation, self.only, self.contained = who, what, operation, only, contained

    def decide(self, given_: Sequence[Consent]) -> bool:
        if not self.what.patients:
            return False
        return all(
            patient == self.who.self_patient
            or all(self._permits(patient, purpose, given_) for purpose in self.who.purposes or (None,))
            for patient in self.what.patients
        )

    def _permits(self, patient: str, purpose: str | None, given_: Sequence[Consent]) -> bool:
        own = [consent for consent in given_ if consent.patient == patient]
        gone = {other for consent in own for other in consent.supersedes}
        live = [consent for consent in own if consent.state is State.LIVE and consent.id not in gone]
        found = {
            consent.id: self._frontier(consent.root, Match(), [consent.period], purpose) for consent in live
        }
        if any(node.effect is Effect.DENY for deciding in found.values() for node in deciding):
            return False
        stopped = [consent for consent in own if consent.state is State.STOPPED and consent.id not in gone]
        if any(self._stops(consent.root, Match(), purpose) for consent in stopped):
            return False
        return any(found[name] for name in found if self.only is None or name in self.only)

    def _stops(self, node: Node, above: Match, purpose: str | None) -> bool:
        own = node.match
        merged = Match(own.actors or above.actors, own.purposes or above.purposes, own.scopes or above.scopes)
        here = node.effect is Effect.PERMIT and self._matches(merged, [], purpose, True) is not False
        return here or any(self._stops(below, merged, purpose) for below in node.exceptions)

    def _frontier(self, node: Node, above: Match, periods: list[Period], purpose: str | None) -> list[Node]:
        own = node.match
        merged = Match(
            own.actors or above.actors,
            own.purposes or above.purposes,
            own.scopes or above.scopes,
            own.labels or above.labels,
        )
        periods = [*periods, own.period]
        denies = node.effect is Effect.DENY
        value = self._matches(merged, periods, purpose, denies)
        applies = value is True or (value is None and denies)
        if self.contained and not applies:
            return []
        inner = [
            found for below in node.exceptions for found in self._frontier(below, merged, periods, purpose)
        ]
        return inner or ([node] if applies else [])

    def _matches(self, match: Match, periods: list[Period], purpose: str | None, denies: bool) -> bool | None:
        actor: bool | None = not match.actors or bool(match.actors & self.who.identities)
        if not actor and not {name.split(":")[0] for name in match.actors} <= self.who.known:
            actor = None
        for_purpose: bool | None = not match.purposes
        if match.purposes:
            for_purpose = None if purpose is None else covers(match.purposes, purpose)
        marks = LABELS.marks(self.what.labels)
        names = LABELS.rule(match.labels)
        reached = names is None or (names.denies(marks) if denies else names.permits(marks))
        in_time = all(period.includes(NOW_S) for period in periods)
        return _all([actor, for_purpose, in_time, self._in_scope(match, denies), reached])

    def _in_scope(self, match: Match, denies: bool) -> bool | None:
        if not match.scopes:
            return True
        return _any(
            [
                _all(
                    [
                        one.type in ("*", self.what.type),
                        self.operation in one.operations
                        or (denies and bool(set(one.operations) & set("rs"))),
                        *(self.what.holds(term) for term in one.constraints),
                    ]
                )
                for one in match.scopes
            ]
        )


@settings(max_examples=600)
@given(consent_lists(), ASKERS, RECORDS, OPERATIONS, ONLY, st.booleans())
def test_the_engine_is_the_algorithm(
    given_: list[Consent],
    who: Asker,
    what: ResourceFacts,
    operation: str,
    only: frozenset[str] | None,
    contained: bool,
) -> None:
    expected = Oracle(who, what, operation, only, contained).decide(given_)
    assert permitted(given_, who, what, operation, only, contained) is expected


# --- The laws --------------------------------------------------------------------------------------


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS, st.randoms())
def test_order_plays_no_part(
    given_: list[Consent], who: Asker, what: ResourceFacts, operation: str, chance: random.Random
) -> None:
    shuffled = chance.sample(given_, len(given_))
    assert bound(given_, who).judge(what, operation) == bound(shuffled, who).judge(what, operation)


@given(consent_lists(), trees(st.just(Effect.DENY)), PERIODS, ASKERS, RECORDS, OPERATIONS)
def test_another_deny_never_widens(
    given_: list[Consent], root: Node, period: Period, who: Asker, what: ResourceFacts, operation: str
) -> None:
    added = Consent("new", "p1", root, period, refs=(ConsentRef("new", 99, HASH),))
    if permitted([*given_, added], who, what, operation):
        assert permitted(given_, who, what, operation)


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS, st.sampled_from([State.STOPPED, State.REVOKED]))
def test_withdrawing_permits_never_widens(
    given_: list[Consent], who: Asker, what: ResourceFacts, operation: str, state: State
) -> None:
    for number, consent in enumerate(given_):
        if consent.state is State.LIVE and all(node.effect is Effect.PERMIT for node in walk(consent.root)):
            after = [*given_[:number], replace(consent, state=state), *given_[number + 1 :]]
            if permitted(after, who, what, operation):
                assert permitted(given_, who, what, operation)


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS)
def test_the_unknown_never_helps(
    given_: list[Consent], who: Asker, what: ResourceFacts, operation: str
) -> None:
    less_known = [
        *((replace(who, known=who.known - {kind}), what) for kind in KINDS - {"client"}),
        (replace(who, known=frozenset({"client"}), identities=frozenset(), self_patient=None), what),
        (replace(who, purposes=()), what) if len(set(who.purposes)) == 1 else (who, what),
        (who, replace(what, labels=what.labels | {FOREIGN})),
        *((who, replace(what, labels=what.labels | {odd})) for odd in ODD),
        (who, replace(what, holds=Content({}))),
    ]
    for asks, about in less_known:
        if permitted(given_, asks, about, operation):
            assert permitted(given_, who, what, operation)


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS, ONLY)
def test_asking_for_more_never_helps(
    given_: list[Consent], who: Asker, what: ResourceFacts, operation: str, only: frozenset[str] | None
) -> None:
    if permitted(given_, replace(who, purposes=("TREAT", "HRESCH")), what, operation):
        assert permitted(given_, replace(who, purposes=("TREAT",)), what, operation)
    if permitted(given_, who, replace(what, patients=frozenset({"p1", "p2"})), operation):
        assert permitted(given_, who, replace(what, patients=frozenset({"p1"})), operation)
    if permitted(given_, who, what, operation, only):
        assert permitted(given_, who, what, operation)
    assert not permitted(given_, replace(who, purposes=(*who.purposes, "BTG")), what, operation)


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS, ONLY)
def test_every_verdict_names_its_nodes(
    given_: list[Consent], who: Asker, what: ResourceFacts, operation: str, only: frozenset[str] | None
) -> None:
    verdict = bound(given_, who, only=only).judge(what, operation)
    known: dict[Because, Node] = nodes(given_)
    effects = {known[because].effect for because in verdict.because}
    assert len(set(verdict.because)) == len(verdict.because)
    match verdict:
        case Permitted():
            assert effects == {Effect.PERMIT} or what.patients <= {who.self_patient}
            assert only is None or {because.consent_id for because in verdict.because} <= only
        case Refused(Reason.DENIED):
            stopped = {consent.id for consent in given_ if consent.state is State.STOPPED}
            assert Effect.DENY in effects
            assert all(
                known[because].effect is Effect.DENY or because.consent_id in stopped
                for because in verdict.because
            )
        case Refused(Reason.NO_CONSENT | Reason.NO_PATIENT | Reason.BREAK_GLASS):
            assert not effects
        case Refused(Reason.REVOKED):
            assert effects
        case Refused():
            assert effects == {Effect.PERMIT}


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS, ONLY, st.booleans())
def test_what_is_said_beforehand_holds_for_every_record(
    given_: list[Consent],
    who: Asker,
    what: ResourceFacts,
    operation: str,
    only: frozenset[str] | None,
    contained: bool,
) -> None:
    one = replace(what, patients=frozenset({"p1"}))
    made = bound(given_, who, only=only, contained=contained)
    verdict = made.judge(one, operation)
    if isinstance(verdict, Permitted):
        assert made.may_permit("p1", one.type, operation)
    if not made.label_sensitive("p1"):
        assert verdict == made.judge(replace(one, labels=frozenset(), holds=Content({})), operation)


@given(consent_lists(), ASKERS, RECORDS, OPERATIONS)
def test_what_does_not_cover_plays_no_part(
    given_: list[Consent], who: Asker, what: ResourceFacts, operation: str
) -> None:
    covering = {part.id for patient in ("p1", "p2") for part in bound(given_, who).coverage(patient)}
    left = [consent for consent in given_ if consent.id in covering]
    assert permitted(left, who, what, operation) is permitted(given_, who, what, operation)


@given(consent_lists(), ASKERS, st.lists(st.tuples(RECORDS, OPERATIONS), max_size=6))
def test_remembering_changes_nothing(
    given_: list[Consent], who: Asker, asked: list[tuple[ResourceFacts, str]]
) -> None:
    made = bound(given_, who)
    for what, operation in [*asked, *asked]:
        assert made.judge(what, operation) == bound(given_, who).judge(what, operation)
