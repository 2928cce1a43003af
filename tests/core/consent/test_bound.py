"""What is said of an asker before any record is looked at, and what is remembered between records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent import evaluate
from gateway.core.consent.evaluate import bind
from gateway.core.consent.rule import Consent, Node, Period, State
from gateway.core.consent.rules import Implicit, Rules
from gateway.core.consent.verdict import BreakGlass
from gateway.core.values import ConsentRef
from tests.core.consent.build import (
    HASH,
    NOW_S,
    OPT_IN,
    asker,
    bound,
    consents,
    deny,
    outcome,
    permit,
    record,
    rule,
)

ALL = "patient/*.rs"
OBS = "patient/Observation.rs"


def to_app(*exceptions: Node, **dimensions: Any) -> Node:
    return permit(*exceptions, actors="client:app-1", scopes=ALL, **dimensions)


# --- What holds without a record -------------------------------------------------------------------

MAY: list[tuple[str, bool, tuple[Node | Consent, ...], dict[str, Any]]] = [
    ("nothing", False, (), {}),
    ("the type", True, (permit(scopes=OBS),), {}),
    ("another type", False, (permit(scopes="patient/Condition.rs"),), {}),
    ("another operation", False, (permit(scopes="patient/Observation.s"),), {}),
    ("part of the type", True, (permit(scopes=OBS + "?code=1"),), {}),
    ("some labels", True, (to_app(labels="HIV"),), {}),
    ("all denied", False, (to_app(), deny()), {}),
    ("all of the type denied", False, (to_app(), deny(scopes=OBS)), {}),
    ("all of another type denied", True, (to_app(), deny(scopes="patient/Condition.rs")), {}),
    ("some labels denied", True, (to_app(deny(labels="R")),), {}),
    ("part of the type denied", True, (to_app(), deny(scopes=OBS + "?code=1")), {}),
    ("denied but for me", True, (to_app(), deny(permit(actors="client:app-1"))), {}),
    ("all stopped", False, (rule(permit(), state=State.STOPPED), to_app()), {}),
    ("stopped for another", True, (rule(permit(actors="client:b"), state=State.STOPPED), to_app()), {}),
    ("denied but for another", False, (to_app(), deny(permit(actors="client:app-2"))), {}),
    ("one of two purposes", False, (to_app(purposes="TREAT"),), {"purposes": "TREAT HPAYMT"}),
    ("myself", True, (deny(),), {"me": "p1"}),
    ("break-glass", False, (to_app(),), {"purposes": "BTG", "me": "p1"}),
]


@pytest.mark.parametrize(("expected", "given", "who"), [row[1:] for row in MAY], ids=[row[0] for row in MAY])
def test_may_permit(expected: bool, given: tuple[Node | Consent, ...], who: dict[str, Any]) -> None:
    assert bound(consents(*given), asker(**who)).may_permit("p1", "Observation", "r") is expected


def test_only_bound_consents_may_permit() -> None:
    given = consents(to_app())
    assert not bound(given, only=frozenset()).may_permit("p1", "Observation", "r")
    assert bound(given, only=frozenset({"c0"})).may_permit("p1", "Observation", "r")


SENSITIVE: list[tuple[str, bool, tuple[Node | Consent, ...]]] = [
    ("no rule", False, ()),
    ("no label", False, (to_app(), deny(scopes="patient/Condition.rs"))),
    ("a permitted label", True, (to_app(labels="N"),)),
    ("a denied label", True, (to_app(), deny(labels="HIV"))),
    ("a label in an exception", True, (to_app(deny(labels="HIV")),)),
    ("a constraint", True, (permit(scopes=OBS + "?code=1"),)),
    ("a label for somebody else", False, (to_app(), deny(labels="HIV", actors="client:app-2"))),
    ("a label out of time", False, (to_app(), rule(deny(labels="HIV"), period=Period(None, NOW_S - 1)))),
]


@pytest.mark.parametrize(("expected", "given"), [r[1:] for r in SENSITIVE], ids=[r[0] for r in SENSITIVE])
def test_label_sensitive(expected: bool, given: tuple[Node | Consent, ...]) -> None:
    assert bound(consents(*given)).label_sensitive("p1") is expected


@pytest.mark.parametrize(("expected", "given"), [r[1:] for r in SENSITIVE], ids=[r[0] for r in SENSITIVE])
def test_weighs_labels(expected: bool, given: tuple[Node | Consent, ...]) -> None:
    """As above, but for rules that look at nothing else than content."""
    content_alone = given == SENSITIVE[5][2]
    assert bound(consents(*given)).weighs_labels("p1") is (expected and not content_alone)


def test_where_records_are_held_their_labels_matter_for_everybody() -> None:
    held = replace(OPT_IN, holds=frozenset({"LITIGATION"}))
    assert bound(consents(to_app()), rules=held).label_sensitive("p1")
    assert bound(consents(to_app()), asker(me="p1"), rules=held).label_sensitive("p1")
    assert not bound(consents(to_app()), rules=OPT_IN).label_sensitive("p1")


def test_labels_do_not_matter_for_oneself() -> None:
    for_oneself = bound(consents(deny(labels="HIV")), asker(me="p1"))
    assert not for_oneself.label_sensitive("p1")
    assert not for_oneself.weighs_labels("p1")


def test_who_breaks_the_glass_for_themselves_is_judged_by_it() -> None:
    broken = replace(asker(purposes="BTG", me="p1"), break_glass=BreakGlass("p1", "r", NOW_S + 1))
    made = bound(consents(deny(purposes="BTG", labels="HIV")), broken)
    assert made.label_sensitive("p1")
    assert outcome(made.judge(record(labels="HIV"), "r")) == "denied"
    assert outcome(made.judge(record(), "r")) == "permit"


def test_coverage_is_of_the_consents_that_concern_the_asker() -> None:
    given = consents(to_app(), permit(actors="client:app-2"), deny(labels="HIV"))
    covered = bound(given).coverage("p1")
    assert [(part.id, part.entry) for part in covered] == [("c0", 0), ("c2", 2)]
    assert bound(given).coverage("p2") == ()


IMPLIED = replace(OPT_IN, implicit=Implicit.ALL_NORMAL)
STOPPED: list[tuple[str, Node, Rules, bool]] = [
    ("a permit", to_app(), OPT_IN, True),
    ("a permit with a deny below", to_app(deny(labels="HIV")), OPT_IN, True),
    ("a deny with a permit below", deny(to_app()), OPT_IN, True),
    ("a deny, of which nothing is left", deny(), OPT_IN, True),
    ("a deny, beside which nothing is implied any more", deny(), IMPLIED, True),
    ("a permit for another", permit(actors="client:app-2"), OPT_IN, False),
    ("a permit for another, beside which nothing is implied", permit(actors="client:app-2"), IMPLIED, True),
]


@pytest.mark.parametrize(
    ("root", "rules", "concerned"), [case[1:] for case in STOPPED], ids=[case[0] for case in STOPPED]
)
def test_a_stop_changes_the_coverage_of_those_whom_it_concerns(
    root: Node, rules: Rules, concerned: bool
) -> None:
    """With it page links end, and so does an answer that is on its way."""
    [live] = consents(root)
    stopped = replace(live, state=State.STOPPED, ended=ConsentRef("c0", 7, HASH))
    who = replace(asker(), patient="p1")
    before, after = (bound((one,), who, rules=rules).coverage("p1") for one in (live, stopped))
    assert (before != after) is concerned
    assert {part.entry for part in after} <= {7}


# --- Reading and remembering -----------------------------------------------------------------------


def test_each_patient_is_read_once_and_only_when_needed() -> None:
    read: list[str] = []
    given = consents(to_app())

    def of(patient: str) -> list[Consent]:
        read.append(patient)
        return [consent for consent in given if consent.patient == patient]

    made = bind(of, asker(), NOW_S, None)
    assert read == []
    for _ in range(2):
        made.judge(record(), "r")
        made.judge(record(labels="R"), "s")
        made.may_permit("p1", "Observation", "r")
    assert read == ["p1"]


def test_a_bound_that_read_a_patient_again_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "_KEPT", 2)
    made = bind(lambda _patient: (), asker(), NOW_S, None)
    for patient in ("a", "b", "a"):
        made.coverage(patient)
        assert made.whole
    made.coverage("c")
    assert not made.whole


def test_content_is_asked_about_every_time_it_matters() -> None:
    answers = iter([True, False, True])
    made = bound(consents(permit(scopes=OBS + "?code=1")))
    verdicts = [outcome(made.judge(record(holds=lambda _: next(answers)), "r")) for _ in range(3)]
    assert verdicts == ["permit", "scope", "permit"]


def test_content_is_not_asked_about_when_it_does_not_matter() -> None:
    def never(_term: object) -> bool:
        raise AssertionError("content was looked at")

    made = bound(consents(permit(scopes="patient/Condition.rs?code=1 " + OBS)))
    first = made.judge(record(holds=never), "r")
    assert made.judge(record(holds=never), "r") is first


def test_contained_exceptions_count_only_where_the_node_above_applies() -> None:
    given = consents(permit(permit(labels="R"), labels="N"))
    assert outcome(bound(given).judge(record(labels="R"), "r")) == "permit"
    assert outcome(bound(given, contained=True).judge(record(labels="R"), "r")) == "label"
    assert outcome(bound(given, contained=True).judge(record(), "r")) == "permit"
