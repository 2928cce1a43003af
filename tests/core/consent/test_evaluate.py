"""Decisions one by one: each case beside the nearest one that goes the other way."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from gateway.core.consent.evaluate import Because, Permitted, Reason, Refused
from gateway.core.consent.rule import Consent, Node, Period, State
from tests.core.consent.build import (
    NOW_S,
    asker,
    bound,
    consents,
    deny,
    outcome,
    permit,
    record,
    rule,
)
from tests.core.consent.situations import load

ALL = "patient/*.rs"
OBS = "patient/Observation.rs"


class Case(NamedTuple):
    name: str
    expected: str
    given: tuple[Node | Consent, ...]
    who: dict[str, Any] = {}  # noqa: RUF012 - a default that nobody changes
    what: dict[str, Any] = {}  # noqa: RUF012
    operation: str = "r"
    only: frozenset[str] | None = None


def to_app(*exceptions: Node, **dimensions: Any) -> Node:
    return permit(*exceptions, actors="client:app-1", scopes=ALL, **dimensions)


CASES = [
    # Opt-in.
    Case("nothing is granted", "no_consent", ()),
    Case("all is granted", "permit", (to_app(),)),
    Case("only a deny", "denied", (deny(),)),
    Case("only a deny for others", "no_consent", (deny(actors="client:app-2"),)),
    # Actors.
    Case("the grantee", "permit", (permit(actors="client:app-1"),)),
    Case("another client", "no_consent", (permit(actors="client:app-2"),)),
    Case("a longer name", "no_consent", (permit(actors="client:app-11"),)),
    Case("another kind of the same name", "no_consent", (permit(actors="organization:app-1"),)),
    Case("the client of one issuer", "permit", (permit(actors="client:app-1@https://idp.example"),),
         {"identities": "client:app-1 client:app-1@https://idp.example"}),
    Case("the client of another issuer", "no_consent", (permit(actors="client:app-1@https://idp.example"),),
         {"identities": "client:app-1 client:app-1@https://other.example"}),
    Case("one of several grantees", "permit", (permit(actors="client:app-2 client:app-1"),)),
    Case("the organisation of the user", "permit", (permit(actors="organization:org-1"),),
         {"identities": "client:app-1 organization:org-1"}),
    Case("a permit for anyone", "permit", (permit(),), {"identities": "client:stranger"}),
    Case("a permit for anyone, asker unknown", "permit", (permit(),),
         {"identities": "", "known": {"client"}}),
    Case("a permit for somebody, asker unknown", "no_consent", (permit(actors="client:app-2"),),
         {"known": {"client"}}),
    Case("a deny for somebody else, asker known", "permit", (to_app(), deny(actors="practitioner:d-1"))),
    Case("a deny for somebody else, asker unknown", "denied", (to_app(), deny(actors="practitioner:d-1")),
         {"known": {"client"}}),
    Case("a deny for an organisation, asker unknown", "denied", (to_app(), deny(actors="organization:o-1")),
         {"known": {"client"}}),
    Case("a deny for an organisation, the practitioner alone known", "denied",
         (to_app(), deny(actors="organization:o-1")),
         {"identities": "client:app-1 practitioner:d-1", "known": {"client", "practitioner"}}),
    Case("a deny for a practitioner, the organisation alone known", "denied",
         (to_app(), deny(actors="practitioner:d-1")),
         {"identities": "client:app-1 organization:o-1", "known": {"client", "organization"}}),
    Case("a deny for another practitioner, the organisation not known", "permit",
         (to_app(), deny(actors="practitioner:d-2")),
         {"identities": "client:app-1 practitioner:d-1", "known": {"client", "practitioner"}}),
    Case("a deny for practitioner or organisation, another practitioner", "denied",
         (to_app(), deny(actors="practitioner:d-2 organization:o-1")),
         {"identities": "client:app-1 practitioner:d-1", "known": {"client", "practitioner"}}),
    Case("a permit for an organisation, the practitioner alone known", "no_consent",
         (permit(actors="organization:o-1"),),
         {"identities": "client:app-1 practitioner:d-1", "known": {"client", "practitioner"}}),
    Case("a deny for another client, asker unknown", "permit", (to_app(), deny(actors="client:app-2")),
         {"known": {"client"}}),
    Case("a deny for another client or somebody, asker unknown", "denied",
         (to_app(), deny(actors="client:app-2 practitioner:d-1")), {"known": {"client"}}),
    # Purposes.
    Case("the purpose", "permit", (to_app(purposes="TREAT"),)),
    Case("another purpose", "purpose", (to_app(purposes="HRESCH"),)),
    Case("a narrower purpose", "permit", (to_app(purposes="TREAT"),), {"purposes": "ETREAT"}),
    Case("two levels narrower", "permit", (to_app(purposes="HOPERAT"),), {"purposes": "HTEST"}),
    Case("a wider purpose", "purpose", (to_app(purposes="ETREAT"),)),
    Case("an unknown purpose equals itself", "permit", (to_app(purposes="LOCAL"),), {"purposes": "LOCAL"}),
    Case("an unknown purpose is in no other", "purpose", (to_app(purposes="TREAT"),), {"purposes": "LOCAL"}),
    Case("no purpose asked, permit for one", "purpose", (to_app(purposes="TREAT"),), {"purposes": ""}),
    Case("no purpose asked, permit for any", "permit", (to_app(),), {"purposes": ""}),
    Case("no purpose asked, deny for one", "denied", (to_app(), deny(purposes="HRESCH")), {"purposes": ""}),
    Case("deny for another purpose", "permit", (to_app(), deny(purposes="HRESCH"))),
    Case("two purposes, both permitted", "permit", (to_app(purposes="TREAT"), to_app(purposes="HPAYMT")),
         {"purposes": "TREAT HPAYMT"}),
    Case("two purposes, one permitted", "purpose", (to_app(purposes="TREAT"),),
         {"purposes": "HPAYMT TREAT"}),
    Case("two purposes, one denied", "denied", (to_app(), deny(purposes="HPAYMT")),
         {"purposes": "TREAT HPAYMT"}),
    Case("break-glass is asked", "break_glass", (to_app(),), {"purposes": "BTG"}),
    Case("break-glass beside another purpose", "break_glass", (to_app(),), {"purposes": "TREAT BTG"}),
    # Scopes.
    Case("the type", "permit", (permit(scopes=OBS),)),
    Case("another type", "scope", (permit(scopes="patient/Condition.rs"),)),
    Case("one of two scopes", "permit", (permit(scopes="patient/Condition.rs patient/Observation.r"),)),
    Case("read only, searched", "scope", (permit(scopes="patient/Observation.r"),), {}, {}, "s"),
    Case("search only, searched", "permit", (permit(scopes="patient/Observation.s"),), {}, {}, "s"),
    Case("write only, read", "scope", (permit(scopes="patient/Observation.cud"),)),
    Case("search denied, read", "denied", (to_app(), deny(scopes="patient/Observation.s")), {}, {}, "r"),
    Case("write denied, read", "permit", (to_app(), deny(scopes="patient/Observation.cud"))),
    Case("another type denied", "permit", (to_app(), deny(scopes="patient/Condition.rs"))),
    Case("a constraint that holds", "permit", (permit(scopes=OBS + "?category=vital-signs"),), {},
         {"holds": lambda _: True}),
    Case("a constraint that fails", "scope", (permit(scopes=OBS + "?category=vital-signs"),), {},
         {"holds": lambda _: False}),
    Case("a constraint that cannot be told", "scope", (permit(scopes=OBS + "?category=vital-signs"),)),
    Case("one of two constraints fails", "scope", (permit(scopes=OBS + "?category=a&code=b"),), {},
         {"holds": lambda term: term.name == "category"}),
    Case("a denied constraint that holds", "denied", (to_app(), deny(scopes=OBS + "?code=1")), {},
         {"holds": lambda _: True}),
    Case("a denied constraint that fails", "permit", (to_app(), deny(scopes=OBS + "?code=1")), {},
         {"holds": lambda _: False}),
    Case("a denied constraint that cannot be told", "denied", (to_app(), deny(scopes=OBS + "?code=1"))),
    Case("one part unknown, one false, denied", "permit", (to_app(), deny(scopes=OBS + "?a=1&b=2")), {},
         {"holds": lambda term: None if term.name == "a" else False}),
    # Periods, both ends inclusive.
    Case("before it begins", "period", (rule(to_app(), period=Period(NOW_S + 1)),)),
    Case("when it begins", "permit", (rule(to_app(), period=Period(NOW_S)),)),
    Case("when it ends", "permit", (rule(to_app(), period=Period(None, NOW_S)),)),
    Case("after it ended", "period", (rule(to_app(), period=Period(None, NOW_S - 1)),)),
    Case("a deny that ended", "permit", (to_app(), rule(deny(), period=Period(None, NOW_S - 1)))),
    Case("a deny in force", "denied", (to_app(), rule(deny(), period=Period(None, NOW_S)))),
    Case("an exception within the period", "denied", (permit(deny(period=Period(NOW_S))),)),
    Case("an exception yet to come", "permit", (permit(deny(period=Period(NOW_S + 1))),)),
    Case("an exception cannot outlive its consent", "period",
         (rule(permit(permit(period=Period(None, NOW_S + 9))), period=Period(None, NOW_S - 1)),)),
    # Labels.
    Case("no label, permit for normal", "permit", (to_app(labels="N"),)),
    Case("restricted, permit for normal", "label", (to_app(labels="N"),), {}, {"labels": "R"}),
    Case("lower than permitted", "permit", (to_app(labels="R"),), {}, {"labels": "M"}),
    Case("higher than permitted", "label", (to_app(labels="R"),), {}, {"labels": "V"}),
    Case("any label, permit without", "permit", (to_app(),), {}, {"labels": "HIV V"}),
    Case("lower than denied", "permit", (to_app(deny(labels="R")),), {}, {"labels": "N"}),
    Case("higher than denied", "denied", (to_app(deny(labels="R")),), {}, {"labels": "V"}),
    Case("the denied sensitivity", "denied", (to_app(deny(labels="HIV")),), {}, {"labels": "HIV R"}),
    Case("another sensitivity", "permit", (to_app(deny(labels="HIV")),), {}, {"labels": "PSY R"}),
    Case("one of several is denied", "denied", (to_app(deny(labels="HIV")),), {}, {"labels": "PSY HIV"}),
    Case("below the denied one", "denied", (to_app(deny(labels="SPI")),), {}, {"labels": "OPIOIDUD"}),
    Case("above the denied one", "permit", (to_app(deny(labels="OPIOIDUD")),), {}, {"labels": "SUD"}),
    Case("bridged to the denied one", "denied", (to_app(deny(labels="SUD")),), {}, {"labels": "ETH"}),
    Case("the permitted sensitivity", "permit", (to_app(labels="HIV"),), {}, {"labels": "HIV R"}),
    Case("beside the permitted one", "label", (to_app(labels="HIV"),), {}, {"labels": "HIV STD R"}),
    Case("below the permitted one", "permit", (to_app(labels="SUD"),), {}, {"labels": "ETHUD R"}),
    Case("above the permitted one", "label", (to_app(labels="ETHUD"),), {}, {"labels": "SUD R"}),
    Case("permit for a sensitivity, none there", "label", (to_app(labels="HIV"),)),
    Case("normal or HIV: normal", "permit", (to_app(labels="N HIV"),)),
    Case("normal or HIV: HIV", "permit", (to_app(labels="N HIV"),), {}, {"labels": "HIV R"}),
    Case("normal or HIV: very restricted HIV", "label", (to_app(labels="N HIV"),), {}, {"labels": "HIV V"}),
    Case("normal or HIV: restricted for another cause", "label", (to_app(labels="N HIV"),), {},
         {"labels": "R"}),
    Case("a sensitivity is restricted, said or not", "label", (to_app(labels="N"),), {}, {"labels": "HIV"}),
    Case("an unknown label is restricted", "denied", (to_app(deny(labels="R")),), {},
         {"labels": "https://x.example|Z"}),
    Case("an unknown label is not every sensitivity", "permit", (to_app(deny(labels="HIV")),), {},
         {"labels": "https://x.example|Z"}),
    Case("an unknown system may mean the denied code", "denied", (to_app(deny(labels="HIV")),), {},
         {"labels": "https://x.example|HIV"}),
    Case("an unreadable label may be the denied one", "denied", (to_app(deny(labels="HIV")),), {},
         {"labels": "https://x.example|"}),
    Case("a label of another system, by name", "denied", (to_app(deny(labels="https://x.example|Z")),), {},
         {"labels": "https://x.example|Z"}),
    Case("its neighbour", "permit", (to_app(deny(labels="https://x.example|Z")),), {},
         {"labels": "https://x.example|Y"}),
    # Nesting.
    Case("sibling exceptions: deny wins", "denied", (permit(permit(scopes=OBS), deny(scopes=OBS)),)),
    Case("an exception to the exception", "permit",
         (permit(deny(permit(actors="client:app-1"), labels="HIV")),), {}, {"labels": "HIV R"}),
    Case("an exception to the exception, for another", "denied",
         (permit(deny(permit(actors="client:app-2"), labels="HIV")),), {}, {"labels": "HIV R"}),
    Case("a closed door with one key", "permit", (deny(permit(actors="client:app-1")),)),
    Case("a closed door, another key", "denied", (deny(permit(actors="client:app-2")),)),
    Case("a dimension restated", "permit", (permit(permit(labels="R"), labels="N"),), {}, {"labels": "R"}),
    Case("a purpose inherited", "purpose", (deny(permit(actors="client:app-1"), purposes="HRESCH"),)),
    Case("an actor inherited", "no_consent", (permit(permit(labels="R"), actors="client:app-2"),)),
    Case("a scope inherited by a deny", "permit",
         (to_app(), permit(deny(actors="client:app-1"), scopes="patient/Condition.rs"))),
    Case("a label inherited by a deny", "permit",
         (permit(deny(permit(deny(actors="client:app-1"), actors="organization:o"), labels="PSY")),)),
    Case("the same deny where the label is", "denied",
         (permit(deny(permit(deny(actors="client:app-1"), actors="organization:o"), labels="PSY")),), {},
         {"labels": "PSY"}),
    # Several consents.
    Case("deny beside permit", "denied", (to_app(), deny(actors="client:app-1"))),
    Case("deny before permit", "denied", (deny(actors="client:app-1"), to_app())),
    Case("the deny is superseded", "permit", (deny(), rule(to_app(), supersedes=["c0"]))),
    Case("another deny is superseded", "denied", (deny(), deny(), rule(to_app(), supersedes=["c0"]))),
    Case("superseded by one since revoked", "revoked",
         (to_app(), rule(to_app(), supersedes=["c0"], state=State.REVOKED))),
    Case("revoked", "revoked", (rule(to_app(), state=State.REVOKED),)),
    Case("revoked for another", "no_consent", (rule(permit(actors="client:app-2"), state=State.REVOKED),)),
    Case("a revoked deny", "permit", (to_app(), rule(deny(), state=State.REVOKED))),
    Case("stopped", "revoked", (rule(to_app(), state=State.STOPPED),)),
    Case("stopped, another permit", "revoked", (rule(to_app(), state=State.STOPPED), permit())),
    Case("stopped, and denied", "denied", (rule(to_app(), state=State.STOPPED), permit(), deny())),
    Case("stopped for another", "permit",
         (rule(permit(actors="client:app-2"), state=State.STOPPED), permit())),
    Case("stopped for another type", "permit",
         (rule(permit(scopes="patient/Condition.rs"), state=State.STOPPED), permit())),
    Case("stopped for another purpose", "permit",
         (rule(permit(purposes="HRESCH"), state=State.STOPPED), permit())),
    Case("stopped whatever the labels", "revoked",
         (rule(permit(labels="HIV"), state=State.STOPPED), permit())),
    Case("stopped after it ended", "revoked",
         (rule(permit(), period=Period(None, NOW_S - 1), state=State.STOPPED), permit())),
    Case("stopped within a deny: its exception", "revoked",
         (rule(deny(permit(actors="client:app-1")), state=State.STOPPED), permit())),
    Case("a stopped deny", "permit", (rule(deny(), state=State.STOPPED), permit())),
    Case("stopped and superseded", "permit",
         (rule(to_app(), state=State.STOPPED), rule(to_app(), supersedes=["c0"]))),
    Case("superseded already", "no_consent", (rule(to_app(), state=State.SUPERSEDED),)),
    # Binding.
    Case("bound to it", "permit", (to_app(),), only=frozenset({"c0"})),
    Case("bound to another", "unbound", (to_app(),), only=frozenset({"c9"})),
    Case("bound to none", "unbound", (to_app(),), only=frozenset()),
    Case("bound, a foreign deny", "denied", (to_app(), deny()), only=frozenset({"c0"})),
    # Patients.
    Case("no patient named", "no_patient", (to_app(),), {}, {"patients": ""}),
    Case("own record", "permit", (), {"me": "p1"}),
    Case("own record in spite of own deny", "permit", (deny(),), {"me": "p1"}),
    Case("another's record", "no_consent", (), {"me": "p2"}),
    Case("own record shared with another", "no_consent", (), {"me": "p1"}, {"patients": "p1 p2"}),
    Case("of two patients one permits", "no_consent", (to_app(),), {}, {"patients": "p1 p2"}),
    Case("of two patients both permit", "permit", (to_app(), rule(to_app(), patient="p2")), {},
         {"patients": "p1 p2"}),
    Case("of two patients one denies", "denied",
         (to_app(), rule(to_app(), patient="p2"), rule(deny(), patient="p2")), {}, {"patients": "p1 p2"}),
    # The nearest miss is the reason.
    Case("expired beside another purpose", "period",
         (to_app(purposes="HRESCH"), rule(to_app(), period=Period(None, NOW_S - 1)))),
    Case("label beside scope", "label", (permit(scopes="patient/Condition.rs"), to_app(labels="HIV"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    given = consents(*case.given)
    made = bound(given, asker(**case.who), only=case.only)
    assert outcome(made.judge(record(**case.what), case.operation)) == case.expected


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_reason_has_a_case() -> None:
    assert {case.expected for case in CASES} | {case["expect"] for _, case in load()} >= {"permit", *Reason}


# --- What decided ----------------------------------------------------------------------------------

BECAUSE: list[tuple[str, tuple[Node | Consent, ...], dict[str, Any], list[tuple[str, str]]]] = [
    ("the permit", (to_app(),), {}, [("c0", "root")]),
    ("both permits", (to_app(), permit()), {}, [("c0", "root"), ("c1", "root")]),
    ("the exception", (permit(deny(labels="HIV")),), {"labels": "HIV"}, [("c0", "root.0")]),
    ("the deepest", (permit(deny(permit(actors="client:app-1"), labels="HIV")),), {"labels": "HIV"},
     [("c0", "root.0.0")]),
    ("the deny alone", (to_app(), deny(), deny(labels="V")), {}, [("c1", "root")]),
    ("the stopped permit", (to_app(), rule(permit(), state=State.STOPPED)), {}, [("c1", "root")]),
    ("nobody", (), {}, []),
    ("nothing of others' grants", (permit(actors="client:app-2"),), {}, []),
    ("the nearest miss", (to_app(labels="N"), permit(scopes="patient/Condition.rs")), {"labels": "R"},
     [("c0", "root")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "what", "expected"), [row[1:] for row in BECAUSE], ids=[r[0] for r in BECAUSE]
)
def test_because(
    given: tuple[Node | Consent, ...], what: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    verdict = bound(consents(*given)).judge(record(**what), "r")
    assert [(because.consent_id, because.node_path) for because in verdict.because] == expected


def test_because_names_the_entry_of_what_the_consent_says_now() -> None:
    (consent,) = consents(to_app())
    verdict = bound([consent]).judge(record(), "r")
    assert verdict == Permitted((Because("c0", 0, "root"),))


def test_own_record_needs_no_node() -> None:
    assert bound((), asker(me="p1")).judge(record(), "r") == Permitted(())


def test_a_refusal_says_no_more_than_code_and_nodes() -> None:
    assert bound(()).judge(record(), "r") == Refused(Reason.NO_CONSENT, ())
