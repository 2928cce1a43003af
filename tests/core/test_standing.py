"""A standing answers every request of its second as one made for that request alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.consent.rule import Consent, State
from gateway.core.decide import decide
from gateway.core.fhir import codec
from gateway.core.judgement import Judgement
from gateway.core.plan import Deny
from gateway.core.standing import Standing
from gateway.core.values import Ask, Ref, Token
from tests.core.consent.build import NOW_S, consents, permit
from tests.core.deciding import HOUSE, View, facts, request, token
from tests.core.test_decide import DENIES, PERMITS, PRACTITIONER_9, RESOURCES, SCOPES, TARGETS, numbered

KNOWN = [(facts(raw), raw) for raw in RESOURCES]
USERS = (None, PRACTITIONER_9, Ref("Patient", "85"), Ref("Practitioner", "1"))
TIMES = (NOW_S - 1, NOW_S, NOW_S + 1)
MORE_TARGETS = (*TARGETS, "Observation/1/_history/2", "Group/1", "Practitioner/9", "Observation?patient=99")

Outcome = tuple[object, ...]


def outcome(target: str, standing: Standing) -> Outcome:
    """All that a decision says, and what its judge says of every record, by reading and by searching."""
    made = decide(request(target), standing)
    if isinstance(made, Deny):
        return made.error.status, made.error.text, made.reason, made.because
    plan = made.plan
    judged = [judgement(plan.judge, number, op) for number in range(len(KNOWN)) for op in "rs"]
    coverage = [plan.judge.bound.coverage(patient) for patient in sorted(plan.judge.patients)]
    return plan.asks, plan.required, plan.selective, plan.judge.patients, judged, coverage


def judgement(judge: object, number: int, operation: str) -> Judgement:
    known, raw = KNOWN[number]
    made: Judgement = judge.judge(known, lambda: codec.parse(raw), operation)  # type: ignore[attr-defined]
    return made


@st.composite
def tokens(draw: st.DrawFn, given_: list[Consent]) -> Token:
    scopes = draw(st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3, unique=True))
    context = draw(st.sampled_from(["", " fhirUser"]))
    patient = draw(st.sampled_from(["85", "85", "99", None]))
    purposes = draw(st.sampled_from(["TREAT", "TREAT HPAYMT", "", "BTG"]))
    who = token(" ".join(scopes) + context, patient, purposes=purposes, user=draw(st.sampled_from(USERS)))
    bound = draw(st.sampled_from([None, given_[:1], given_]))
    return replace(who, consents=None if bound is None else tuple(c.refs[-1] for c in bound))


@st.composite
def states(draw: st.DrawFn) -> list[Consent]:
    made = numbered(draw(st.lists(PERMITS, max_size=3)) + draw(st.lists(DENIES, max_size=2)))
    ended = st.sampled_from([State.LIVE, State.LIVE, State.REVOKED, State.STOPPED])
    return [replace(consent, state=draw(ended)) for consent in made]


@settings(max_examples=150, deadline=None)
@given(st.data(), states(), st.sampled_from(TIMES), st.lists(st.sampled_from(MORE_TARGETS), max_size=6))
def test_what_was_asked_before_changes_nothing(
    data: st.DataObject, given_: list[Consent], now_s: int, targets: list[str]
) -> None:
    who, view = data.draw(tokens(given_)), View(given_)
    remembered = Standing(who, view, HOUSE, now_s)
    for target in targets:
        assert outcome(target, remembered) == outcome(target, Standing(who, view, HOUSE, now_s))


def test_a_refusal_is_made_anew_each_time() -> None:
    """Errors gather tracebacks when they are raised: two requests do not share one."""
    standing = Standing(token(), View(()), HOUSE, NOW_S)
    first, second = (decide(request("Observation/1"), standing) for _ in range(2))
    assert isinstance(first, Deny)
    assert isinstance(second, Deny)
    assert first.error is not second.error
    assert first.reason == second.reason == "no_consent"


@pytest.mark.parametrize("target", ["Observation/1", "Observation"])
def test_a_request_has_its_own_plan(target: str) -> None:
    open_ = consents(permit(actors="client:app-1", scopes="patient/*.rs"), patient="85")
    standing = Standing(token(), View(open_), HOUSE, NOW_S)
    asks = [outcome(asked, standing)[0] for asked in (target, "Condition/2", target)]
    assert asks[0] == asks[2] != asks[1] == (Ask("/Condition/2"),)
