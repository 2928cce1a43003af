"""What Provenance says is asked for where it can make a difference, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.awaited import awaits_agents
from gateway.core.consent.rule import Consent, DataRef, Effect, Match, Node
from gateway.core.consent.rules import Rules
from gateway.core.decide import decide
from gateway.core.fhir import codec
from gateway.core.fhir.facts import facts_of
from gateway.core.judge import Judge
from gateway.core.plan import Permit
from gateway.core.standing import House, Standing
from gateway.core.values import Ref
from tests.core.consent.build import NOW_S, consents, deny, permit, placed
from tests.core.deciding import BASES, R4, View, request, token

EVE = Ref("Practitioner", "eve")
WHO = [Ref("Practitioner", name) for name in ("ann", "bob")]
OPEN = permit(actors="client:app-1", scopes="patient/*.rs")


def by(node: Node, *who: str) -> Node:
    """The node, about what they made alone."""
    data = frozenset(DataRef("authoredby", Ref("Practitioner", each)) for each in who)
    return replace(node, match=replace(node.match, data=data))


def within(node: Node, *exceptions: Node) -> Node:
    return placed(node, exceptions)


def judge(*roots: Node | Consent, nesting: bool = False, scopes: str = "patient/*.rs") -> Judge:
    house = House(R4, BASES, rules=Rules(contained=nesting))
    standing = Standing(token(scopes), View(consents(*roots, patient="85")), house, NOW_S)
    decision = decide(request("Observation"), standing)
    assert isinstance(decision, Permit), decision
    return decision.plan.judge


def observation(performer: str | None = None, owner: str = "85", **more: Any) -> dict[str, Any]:
    made = {} if performer is None else {"performer": [{"reference": f"Practitioner/{performer}"}]}
    subject = {"reference": f"Patient/{owner}"}
    return {"resourceType": "Observation", "id": "1", "subject": subject, **made, **more}


def awaits(by_whom: Judge, record: dict[str, Any]) -> bool:
    raw = json.dumps(record).encode()
    return awaits_agents(by_whom, facts_of(raw, R4, BASES), lambda: codec.parse(raw))


def shows(by_whom: Judge, record: dict[str, Any], agents: list[Ref] | None) -> bool:
    raw = json.dumps(record).encode()
    facts = facts_of(raw, R4, BASES)
    if agents is not None:
        told = [{"reference": str(agent)} for agent in agents]
        by_whom = by_whom.knowing({}, agents={facts.ref: told})
    return by_whom(facts, lambda: codec.parse(raw)).visible


OF_OTHERS = within(OPEN, by(deny(scopes="patient/Observation.rs"), "bob"))
CODED = deny(scopes="patient/Observation.rs?code=x")
REPORTS = deny(scopes="patient/DiagnosticReport.rs?code=x")
NOT_BOBS = within(OPEN, by(deny(), "bob"))
ANNS = by(OPEN, "ann")
INNER = {"contained": [observation()]}
REPORT = {"resourceType": "DiagnosticReport", "id": "1", "subject": {"reference": "Patient/85"}}

AWAITED: list[tuple[str, Node | Consent, dict[str, Any], bool]] = [
    ("a deny of what somebody made", NOT_BOBS, observation("ann"), True),
    ("of one that says nothing", NOT_BOBS, observation(), True),
    ("which it is by itself", NOT_BOBS, observation("bob"), False),
    ("which cannot be told by itself", NOT_BOBS, observation() | {"performer": [{"display": "B"}]}, False),
    ("a permit for what somebody made", ANNS, observation("bob"), True),
    ("which it is by itself", ANNS, observation("ann"), False),
    ("both, of one that is neither's", within(ANNS, by(deny(), "bob")), observation(), True),
    ("both, of one that is the one's", within(ANNS, by(deny(), "bob")), observation("ann"), True),
    ("both, of one that is the other's", within(ANNS, by(deny(), "bob")), observation("bob"), False),
    ("a permit below a deny", within(by(deny(), "ann"), OPEN), observation(), True),
    ("a permit for others' below it", within(by(deny(), "ann"), by(OPEN, "bob")), observation(), True),
    ("no rule about authors", OPEN, observation("ann"), False),
    ("of another type", within(OPEN, by(deny(scopes="patient/Condition.rs"), "bob")), observation(), False),
    ("hidden for its type", within(NOT_BOBS, *NOT_BOBS.exceptions, CODED), observation(), False),
    ("a stranger's", NOT_BOBS, observation("ann", owner="86"), False),
    ("nobody's", NOT_BOBS, {"resourceType": "Questionnaire", "id": "q", "status": "active"}, False),
    ("of a type that nobody authors", NOT_BOBS, {"resourceType": "Patient", "id": "85"}, False),
    ("what it contains", OF_OTHERS, REPORT | {"contained": [observation("ann")]}, True),
    ("which is his by itself", OF_OTHERS, REPORT | {"contained": [observation("bob")]}, False),
    ("which nobody sees", within(OF_OTHERS, *OF_OTHERS.exceptions, REPORTS), REPORT | INNER, False),
]  # fmt: skip


@pytest.mark.parametrize("nesting", [False, True], ids=["apart", "contained"])
@pytest.mark.parametrize(
    ("root", "record", "expected"), [c[1:] for c in AWAITED], ids=[c[0] for c in AWAITED]
)
def test_awaited(root: Node, record: dict[str, Any], expected: bool, nesting: bool) -> None:
    assert awaits(judge(root, nesting=nesting), record) is expected


def test_nothing_is_awaited_out_of_scope_or_of_what_was_read() -> None:
    assert not awaits(judge(OPEN, NOT_BOBS, scopes="patient/Observation.rs?status=final"), observation())
    known = judge(NOT_BOBS).knowing({}, agents={Ref("Observation", "1"): ()})
    assert not awaits(known, observation("ann"))
    assert awaits(known, observation("ann") | {"id": "2"})


# --- The law ---------------------------------------------------------------------------------------


def nodes(depth: int) -> st.SearchStrategy[Node]:
    data = st.frozensets(st.sampled_from([DataRef("authoredby", who) for who in WHO]))
    scopes = st.sampled_from([(), permit(scopes="patient/Observation.rs?status=final").match.scopes])
    matches = st.builds(Match, actors=st.just(OPEN.match.actors), data=data, scopes=scopes)
    below = st.lists(nodes(depth - 1), max_size=2) if depth else st.just([])
    made = st.builds(lambda effect, match: Node(effect, match), st.sampled_from(Effect), matches)
    return st.builds(placed, made, below)


@settings(max_examples=300)
@given(
    st.lists(nodes(2), min_size=1, max_size=2),
    st.booleans(),
    st.sampled_from([None, "ann", "bob", "eve"]),
    st.sampled_from(["final", "amended"]),
)
def test_what_is_not_awaited_is_the_same_whoever_made_it(
    roots: list[Node], nesting: bool, performer: str | None, status: str
) -> None:
    house = House(R4, BASES, rules=Rules(contained=nesting))
    standing = Standing(token(), View(consents(*roots, patient="85")), house, NOW_S)
    decision = decide(request("Observation"), standing)
    if not isinstance(decision, Permit):
        return
    record = observation(performer, status=status)
    asked = decision.plan.judge
    before = shows(asked, record, None)
    after = [shows(asked, record, [*WHO[low:high], EVE]) for low, high in ((0, 0), (0, 1), (1, 2), (0, 2))]
    assert not before or all(after)  # what cannot be told opens nothing
    if not awaits(asked, record):
        assert set(after) == {before}
