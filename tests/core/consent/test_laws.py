"""Laws of evaluation over generated consents, and the oracle: what must be true of every decision.

`pytest tests/core/consent/test_laws.py --hypothesis-profile=thorough` tries each law 10 000 times and more.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.consent.evaluate import (
    Asker,
    Because,
    Bound,
    Permitted,
    Reason,
    Refused,
    ResourceFacts,
    Rules,
)
from gateway.core.consent.rule import KINDS, Consent, Effect, Node, Period, State, walk
from gateway.core.consent.verdict import UNKNOWN, BreakGlass, Ground
from gateway.core.values import ConsentRef
from tests.core.consent.build import HASH, bound, nodes
from tests.core.consent.generated import (
    ASKERS,
    FOREIGN,
    GLASSES,
    LAWFUL,
    ODD,
    ONLY,
    OPERATIONS,
    PERIODS,
    RECORDS,
    RULES,
    consent_lists,
    law,
    trees,
)
from tests.core.consent.oracle import Oracle


@dataclass(frozen=True)
class Question:
    """Everything that a verdict depends on."""

    consents: Sequence[Consent]
    who: Asker
    what: ResourceFacts
    operation: str
    only: frozenset[str] | None
    rules: Rules

    @property
    def bound(self) -> Bound:
        return bound(self.consents, self.who, only=self.only, rules=self.rules)

    def permitted(self, **changes: Any) -> bool:
        changed = replace(self, **changes)
        return isinstance(changed.bound.judge(changed.what, self.operation), Permitted)


QUESTIONS = st.builds(Question, consent_lists(), ASKERS, RECORDS, OPERATIONS, ONLY, RULES)


def with_glass(asked: Question, glass: BreakGlass | None) -> Question:
    if glass is None:
        return asked
    return replace(asked, who=replace(asked.who, purposes=("BTG",), break_glass=glass))


WITH_GLASS = st.builds(with_glass, QUESTIONS, GLASSES)


@law(4)
@given(WITH_GLASS)
def test_the_engine_is_the_algorithm(asked: Question) -> None:
    expected = Oracle(asked.who, asked.what, asked.operation, asked.only, asked.rules).decide(asked.consents)
    assert asked.permitted() is expected


# --- The laws --------------------------------------------------------------------------------------


@law()
@given(WITH_GLASS, st.randoms())
def test_order_plays_no_part(asked: Question, chance: random.Random) -> None:
    shuffled = replace(asked, consents=chance.sample(asked.consents, len(asked.consents)))
    assert asked.bound.judge(asked.what, asked.operation) == shuffled.bound.judge(asked.what, asked.operation)


@law()
@given(WITH_GLASS, trees(st.just(Effect.DENY)), PERIODS)
def test_another_deny_never_widens(asked: Question, root: Node, period: Period) -> None:
    added = Consent("new", "p1", root, period, refs=(ConsentRef("new", 99, HASH),))
    if asked.permitted(consents=[*asked.consents, added]):
        assert asked.permitted()


@law()
@given(WITH_GLASS)
def test_to_stop_what_only_permits_never_widens(asked: Question) -> None:
    for number, consent in enumerate(asked.consents):
        if consent.state is State.LIVE and all(node.effect is Effect.PERMIT for node in walk(consent.root)):
            stopped = replace(consent, state=State.STOPPED)
            if asked.permitted(consents=[*asked.consents[:number], stopped, *asked.consents[number + 1 :]]):
                assert asked.permitted()


@law()
@given(QUESTIONS)
def test_without_an_implicit_policy_to_revoke_it_never_widens_either(asked: Question) -> None:
    asked = replace(asked, rules=Rules(contained=asked.rules.contained))
    for number, consent in enumerate(asked.consents):
        if consent.state is State.LIVE and all(node.effect is Effect.PERMIT for node in walk(consent.root)):
            revoked = replace(consent, state=State.REVOKED)
            if asked.permitted(consents=[*asked.consents[:number], revoked, *asked.consents[number + 1 :]]):
                assert asked.permitted()


@law()
@given(WITH_GLASS)
def test_the_unknown_never_helps(asked: Question) -> None:
    who, what = asked.who, asked.what
    nobody = replace(
        who, known=frozenset({"client"}), identities=frozenset(), settled=frozenset(), self_patient=None
    )
    less_known: list[dict[str, Any]] = [
        *({"who": replace(who, known=who.known - {kind})} for kind in KINDS - {"client"}),
        {"who": nobody},
        {"who": replace(who, settled=frozenset())},
        *({"what": replace(what, labels=what.labels | {odd})} for odd in (FOREIGN, *ODD)),
        {"what": replace(what, content=UNKNOWN)},
        {"rules": replace(asked.rules, custodians=None)},
        {"consents": [replace(consent, indeterminate=True) for consent in asked.consents]},
    ]
    if len(set(who.purposes)) == 1 and who.break_glass is None:
        less_known.append({"who": replace(who, purposes=())})
    for changes in less_known:
        if asked.permitted(**changes):
            assert asked.permitted()


@law()
@given(QUESTIONS)
def test_asking_for_more_never_helps(asked: Question) -> None:
    who, what = asked.who, asked.what
    if asked.permitted(who=replace(who, purposes=("TREAT", "HRESCH"))):
        assert asked.permitted(who=replace(who, purposes=("TREAT",)))
    if asked.permitted(what=replace(what, patients=frozenset({"p1", "p2"}))):
        assert asked.permitted(what=replace(what, patients=frozenset({"p1"})))
    if asked.permitted():
        assert asked.permitted(only=None)
    assert not asked.permitted(who=replace(who, purposes=(*who.purposes, "BTG")))


@law()
@given(QUESTIONS)
def test_an_implicit_policy_reaches_one_patient_and_nothing_restricted(asked: Question) -> None:
    opt_in = replace(asked.rules, implicit=Rules().implicit)
    if asked.permitted() and not asked.permitted(rules=opt_in):
        assert asked.who.patient in asked.what.patients
        assert asked.operation in "rs"
        assert not asked.permitted(who=replace(asked.who, patient=None))


@law()
@given(WITH_GLASS)
def test_every_verdict_names_its_nodes(asked: Question) -> None:
    verdict = asked.bound.judge(asked.what, asked.operation)
    known: dict[Because, Node] = nodes(asked.consents)
    effects = {known[because].effect for because in verdict.because}
    assert len(set(verdict.because)) == len(verdict.because)
    match verdict:
        case Permitted(_, Ground.CONSENT):
            assert effects == {Effect.PERMIT} or asked.what.patients <= {asked.who.self_patient}
            assert asked.only is None or {because.consent_id for because in verdict.because} <= asked.only
        case Permitted(_, Ground.BREAK_GLASS, overridden):
            assert effects <= {Effect.PERMIT}
            assert all(because in known for because in overridden)
        case Permitted():
            assert effects <= {Effect.PERMIT}
        case Refused(Reason.DENIED):
            stopped = {consent.id for consent in asked.consents if consent.state is State.STOPPED}
            assert effects
            assert all(
                known[because].effect is Effect.DENY or because.consent_id in stopped
                for because in verdict.because
            )
        case Refused(Reason.NO_CONSENT | Reason.NO_PATIENT | Reason.BREAK_GLASS | Reason.LAW):
            assert not effects
        case Refused(Reason.REVOKED | Reason.DOUBTFUL):
            assert effects
        case Refused():
            assert effects == {Effect.PERMIT}


@law()
@given(WITH_GLASS)
def test_what_is_said_beforehand_holds_for_every_record(asked: Question) -> None:
    one = replace(asked.what, patients=frozenset({"p1"}))
    verdict = asked.bound.judge(one, asked.operation)
    if isinstance(verdict, Permitted):
        assert asked.bound.may_permit("p1", one.type, asked.operation)
    assume(not one.labels.intersection(LAWFUL))
    if not asked.bound.label_sensitive("p1"):
        plain = replace(one, labels=frozenset(), content=UNKNOWN)
        assert verdict == asked.bound.judge(plain, asked.operation)
    if not asked.bound.weighs_labels("p1"):
        assert verdict == asked.bound.judge(replace(one, labels=frozenset()), asked.operation)


@law()
@given(WITH_GLASS)
def test_what_does_not_cover_plays_no_part(asked: Question) -> None:
    covering = {part.id for patient in ("p1", "p2") for part in asked.bound.coverage(patient)}
    left = [consent for consent in asked.consents if consent.id in covering]
    assert asked.permitted(consents=left) is asked.permitted()


@law(1)
@given(WITH_GLASS, st.lists(st.tuples(RECORDS, OPERATIONS), max_size=6))
def test_remembering_changes_nothing(asked: Question, records: list[tuple[ResourceFacts, str]]) -> None:
    made = asked.bound
    for what, operation in [*records, *records]:
        assert made.judge(what, operation) == asked.bound.judge(what, operation)
