from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.consents.draft import Draft, read_draft
from gateway.consents.entries import (
    CHANGE,
    GRANT,
    REVOKE,
    Erased,
    Erasure,
    change_facts,
    grant_facts,
    revoke_facts,
)
from gateway.consents.registry import Registry
from gateway.core.canon import Json, b64url, canonical, sha256_text
from gateway.core.consent.rule import Consent, State
from gateway.core.values import ConsentRef
from gateway.errors import VerificationFailed
from tests.consents.ledger import Entry, Ledger, parse_scope

PATIENTS = ("p1", "p2")


def consent(name: str, patient: str = "p1", **fields: Any) -> Consent:
    draft = Draft(patient, **{"grantees": ("client:app-1",), "scopes": ("patient/*.rs",), **fields})
    return read_draft(draft, name, parse_scope, 0)


def append(ledger: Ledger, kind: str, patient: str, facts: dict[str, Json], texts: dict[str, str]) -> None:
    asyncio.run(ledger.record(kind, facts, patient, texts))


def grant(ledger: Ledger, made: Consent) -> Consent:
    append(ledger, GRANT, made.patient, *grant_facts(made))
    return _taken(ledger, made.id)


def change(ledger: Ledger, made: Consent, previous: ConsentRef) -> Consent:
    append(ledger, CHANGE, made.patient, *change_facts(made, previous))
    return _taken(ledger, made.id)


def revoke(ledger: Ledger, before: Consent, *, stop: bool = False) -> Consent:
    append(ledger, REVOKE, before.patient, revoke_facts(before.refs[-1], "patient-request", stop=stop), {})
    return _taken(ledger, before.id)


def notice(ledger: Ledger) -> None:
    """Look at all entries again, as the follower does after an erasure."""
    for entry in ledger.after(-1):
        if isinstance(entry, Erased | Erasure):
            ledger.registry.skip(entry)


def _taken(ledger: Ledger, name: str) -> Consent:
    found = ledger.registry.get(name)
    assert found is not None
    return found


def state_of(registry: Registry) -> Any:
    """Everything that can be asked of a registry."""
    identities = ("client:app-1", "client:app-2", "organization:org-1")
    return (
        registry.mark,
        {patient: registry.all_of(patient) for patient in PATIENTS},
        {patient: registry.live(patient) for patient in PATIENTS},
        {patient: registry.standing(patient) for patient in PATIENTS},
        {identity: registry.by_grantee(identity) for identity in identities},
    )


# --- One after the other ---------------------------------------------------------------------------


def test_a_grant_is_live_under_its_entry() -> None:
    ledger = Ledger()
    assert ledger.registry.mark == -1
    made = grant(ledger, consent("c1"))
    entry = ledger.entries[0]
    assert made.refs == (ConsentRef("c1", 0, b64url(entry.leaf_hash)),)
    assert ledger.registry.live("p1") == (made,)
    assert ledger.registry.live("p2") == ()
    assert ledger.registry.by_grantee("client:app-1") == {"p1"}
    assert ledger.registry.by_grantee("client:app-2") == frozenset()
    assert ledger.registry.mark == 0


def test_a_change_keeps_the_id_and_adds_an_entry() -> None:
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    second = change(ledger, consent("c1", grantees=("client:app-2",)), first.refs[-1])
    assert [ref.entry for ref in second.refs] == [0, 1]
    assert second.entry == 1
    assert ledger.registry.live("p1") == (second,)
    assert ledger.registry.by_grantee("client:app-1") == frozenset()
    assert ledger.registry.by_grantee("client:app-2") == {"p1"}


@pytest.mark.parametrize(("stop", "state"), [(False, State.REVOKED), (True, State.STOPPED)])
def test_a_revoked_consent_is_live_no_more(stop: bool, state: State) -> None:
    ledger = Ledger()
    other = grant(ledger, consent("c0"))
    made = revoke(ledger, grant(ledger, consent("c1")), stop=stop)
    assert made.state is state
    assert made.ended == ConsentRef("c1", 2, b64url(ledger.entries[2].leaf_hash))
    assert made.entry == 1
    assert ledger.registry.live("p1") == (other,)
    assert ledger.registry.standing("p1") == (other, made)
    assert ledger.registry.by_grantee("client:app-1") == {"p1"}
    revoke(ledger, other)
    assert ledger.registry.by_grantee("client:app-1") == frozenset()


def test_a_superseded_consent_stays_out_when_its_successor_goes() -> None:
    ledger = Ledger()
    grant(ledger, consent("c1"))
    second = grant(ledger, consent("c2", supersedes=("c1",)))
    assert ledger.registry.live("p1") == (second,)
    revoke(ledger, second)
    assert ledger.registry.live("p1") == ()
    assert [c.id for c in ledger.registry.standing("p1")] == ["c2"]
    assert [c.state for c in ledger.registry.all_of("p1")] == [State.SUPERSEDED, State.REVOKED]


def test_a_revocation_can_still_become_a_stop_but_not_the_other_way() -> None:
    ledger = Ledger()
    made = revoke(ledger, grant(ledger, consent("c1")))
    stopped = revoke(ledger, made, stop=True)
    assert stopped.state is State.STOPPED
    assert revoke(ledger, made) == stopped


# --- Two gateways at once: the ledger's order decides ----------------------------------------------


def test_a_change_after_the_end_changes_nothing() -> None:
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    ended = revoke(ledger, first)
    assert change(ledger, consent("c1", grantees=("client:app-2",)), first.refs[-1]) == ended
    assert ledger.registry.live("p1") == ()


def test_of_two_changes_the_later_entry_counts() -> None:
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    change(ledger, consent("c1", purposes=("TREAT",)), first.refs[-1])
    last = change(ledger, consent("c1", purposes=("HRESCH",)), first.refs[-1])
    assert last.root.match.purposes == {"HRESCH"}
    assert [ref.entry for ref in last.refs] == [0, 1, 2]


def test_a_revocation_of_an_older_version_revokes() -> None:
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    change(ledger, consent("c1", purposes=("TREAT",)), first.refs[-1])
    assert revoke(ledger, first).state is State.REVOKED


# --- What no honest ledger holds -------------------------------------------------------------------


def _ledger() -> Ledger:
    """Entries 0 and 1 grant c1 to p1 and c2 to p2, entry 2 revokes c2."""
    ledger = Ledger()
    grant(ledger, consent("c1"))
    revoke(ledger, grant(ledger, consent("c2", "p2")))
    return ledger


def _next(ledger: Ledger, kind: str, facts: dict[str, Json], texts: dict[str, str]) -> Entry:
    return ledger.entry(kind, facts, texts)


def _ref(ledger: Ledger, index: int) -> ConsentRef:
    return ConsentRef("any", index, b64url(ledger.entries[index].leaf_hash))


def _good_grant(ledger: Ledger) -> Entry:
    return _next(ledger, GRANT, *grant_facts(consent("c3")))


def _good_change(ledger: Ledger) -> Entry:
    return _next(ledger, CHANGE, *change_facts(consent("c1"), _ref(ledger, 0)))


def _good_revoke(ledger: Ledger) -> Entry:
    return _next(ledger, REVOKE, revoke_facts(_ref(ledger, 0), "patient-request", stop=False), {})


@pytest.mark.parametrize("make", [_good_grant, _good_change, _good_revoke])
def test_the_honest_entry_is_taken(make: Callable[[Ledger], Entry]) -> None:
    ledger = _ledger()
    ledger.registry.apply(make(ledger))
    assert ledger.registry.mark == 3


def _with_facts(entry: Entry, **facts: Json) -> Entry:
    return replace(entry, facts={**entry.facts, **facts})


def _erased(ledger: Ledger) -> Ledger:
    """The same after the key of p2 was destroyed."""
    ledger.erase("p2")
    notice(ledger)
    return ledger


def _without(entry: Entry, name: str) -> Entry:
    return replace(entry, facts={key: value for key, value in entry.facts.items() if key != name})


def _with_text(entry: Entry, text: str) -> Entry:
    return replace(
        entry,
        attachments={"doc": text},
        facts={**entry.facts, "doc": sha256_text(text.encode())},
    )


BAD: dict[str, Callable[[Ledger], Entry]] = {
    "another kind": lambda one: replace(_good_grant(one), kind="read.permit"),
    "the last index again": lambda one: replace(_good_grant(one), index=2),
    "an earlier index": lambda one: replace(_good_grant(one), index=0),
    "no text": lambda one: replace(_good_grant(one), attachments={}),
    "another text": lambda one: replace(_good_grant(one), attachments=grant_facts(consent("c4"))[1]),
    "a text that is no consent": lambda one: _with_text(_good_grant(one), "{}"),
    "a text with white space": lambda one: _with_text(
        _good_grant(one), _good_grant(one).attachments["doc"] + " "
    ),
    "no digest": lambda one: _without(_good_grant(one), "doc"),
    "another digest": lambda one: _with_facts(_good_grant(one), doc="sha256:" + "0" * 64),
    "other scopes than the text": lambda one: _with_facts(_good_grant(one), scp=["patient/*.cruds"]),
    "no scopes": lambda one: _without(_good_grant(one), "scp"),
    "other grantees than the text": lambda one: _with_facts(_good_grant(one), aud=["client:app-2"]),
    "an end that the text does not have": lambda one: _with_facts(_good_grant(one), exp=1),
    "another patient": lambda one: _with_facts(_good_grant(one), pat="Patient/p2"),
    "a bare patient": lambda one: _with_facts(_good_grant(one), pat="p1"),
    "an id that exists": lambda one: _next(one, GRANT, *grant_facts(consent("c1"))),
    "an id that existed": lambda one: _next(one, GRANT, *grant_facts(consent("c2", "p2"))),
    "supersedes the unknown": lambda one: _next(one, GRANT, *grant_facts(consent("c3", supersedes=("c9",)))),
    "supersedes another patient's": lambda one: _next(
        one, GRANT, *grant_facts(consent("c3", supersedes=("c2",)))
    ),
    "a change of nothing": lambda one: _without(_good_change(one), "prv"),
    "a change of an entry to come": lambda one: _with_facts(_good_change(one), prv=[9, "A" * 43]),
    "a change with another hash": lambda one: _with_facts(_good_change(one), prv=[0, "A" * 43]),
    "a change with a swapped hash": lambda one: _with_facts(_good_change(one), prv=[1, _ref(one, 0).hash]),
    "a change of an entry that holds none": lambda one: _with_facts(
        _good_change(one), prv=[2, _ref(one, 2).hash]
    ),
    "a change into another consent": lambda one: _next(
        one, CHANGE, *change_facts(consent("c3"), _ref(one, 0))
    ),
    "a change to another patient": lambda one: _next(
        one, CHANGE, *change_facts(consent("c1", "p2"), _ref(one, 0))
    ),
    "a foreign consent changed": lambda one: _next(one, CHANGE, *change_facts(consent("c1"), _ref(one, 1))),
    "a previous entry that is true": lambda one: _with_facts(_good_change(one), prv=[True, "A" * 43]),
    "a previous entry of three parts": lambda one: _with_facts(
        _good_change(one), prv=[0, _ref(one, 0).hash, 1]
    ),
    "a change that supersedes the unknown": lambda one: _next(
        one, CHANGE, *change_facts(consent("c1", supersedes=("c9",)), _ref(one, 0))
    ),
    "a revocation of nothing": lambda one: _without(_good_revoke(one), "prv"),
    "a revocation with another hash": lambda one: _with_facts(_good_revoke(one), prv=[0, "A" * 43]),
    "a revocation of what was erased, with another hash": lambda one: _with_facts(
        _good_revoke(_erased(one)), prv=[1, "A" * 43]
    ),
    "a change of an entry to come, after an erasure": lambda one: _with_facts(
        _good_change(_erased(one)), prv=[9, "A" * 43]
    ),
    "a revocation without reason": lambda one: _without(_good_revoke(one), "rsn"),
    "a reason that is no code": lambda one: _with_facts(_good_revoke(one), rsn="The patient asked."),
    "a reason of two stops": lambda one: _with_facts(_good_revoke(one), rsn="stop:stop:x"),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_broken_entry_fails_and_changes_nothing(make: Callable[[Ledger], Entry]) -> None:
    ledger = _ledger()
    bad = make(ledger)
    before = state_of(ledger.registry)
    with pytest.raises(VerificationFailed, match="consents: entry"):
        ledger.registry.apply(bad)
    assert state_of(ledger.registry) == before


def test_a_missing_entry_shows_when_another_builds_on_it() -> None:
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    second = change(ledger, consent("c1", purposes=("TREAT",)), first.refs[-1])
    change(ledger, consent("c1", purposes=("HRESCH",)), second.refs[-1])
    registry = Registry(parse_scope)
    registry.apply(ledger.entries[0])
    with pytest.raises(VerificationFailed):
        registry.apply(ledger.entries[2])


# --- Erasure -----------------------------------------------------------------------------------------


def test_an_erased_consent_is_gone_and_nobody_else_is() -> None:
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    change(ledger, consent("c1", grantees=("client:app-2",)), first.refs[-1])
    other = grant(ledger, consent("c2", "p2"))
    ledger.erase("p1")
    notice(ledger)
    assert ledger.registry.get("c1") is None
    assert ledger.registry.all_of("p1") == ledger.registry.live("p1") == ledger.registry.standing("p1") == ()
    assert ledger.registry.by_grantee("client:app-2") == frozenset()
    assert ledger.registry.by_grantee("client:app-1") == {"p2"}
    assert ledger.registry.live("p2") == (other,)
    assert ledger.registry.mark == ledger.entries[-1].index


def test_what_follows_an_erased_consent_is_passed_over() -> None:
    """The key was destroyed while another gateway still knew the consent: what that one writes is under
    the patient's new key, can be read, and must not stop anybody."""
    ledger = Ledger()
    first = grant(ledger, consent("c1"))
    ledger.destroy("p1")
    second = change(ledger, consent("c1", grantees=("client:app-2",)), first.refs[-1])
    revoke(ledger, second)
    new = grant(ledger, consent("c2", supersedes=("c1",)))
    replayed = ledger.replayed()
    assert replayed.all_of("p1") == (new,)
    assert replayed.by_grantee("client:app-2") == frozenset()
    assert replayed.mark == 3
    notice(ledger)
    assert state_of(ledger.registry) == state_of(replayed)


# --- Any interleaving ------------------------------------------------------------------------------


class Interleaving(RuleBasedStateMachine):
    """Grants, changes, revocations and erasures in any order, also on stale knowledge. After each: what a
    replay gives is what is there, and a model that knows only states agrees."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.seen: list[Consent] = []
        self.states: dict[str, State] = {}
        self.erased: set[str] = set()
        self.unnoticed: set[str] = set()

    @rule(patient=st.sampled_from(PATIENTS), grantee=st.sampled_from(["client:app-1", "organization:org-1"]),
          supersede=st.booleans(), gap=st.integers(0, 2))  # fmt: skip
    def grant(self, patient: str, grantee: str, supersede: bool, gap: int) -> None:
        self.ledger.gap = gap
        own = [c.id for c in self.seen if c.patient == patient]
        supersedes = tuple(own[-1:]) if supersede else ()
        name = f"c{len(self.states) + len(self.erased)}"
        made = consent(name, patient, grantees=(grantee,), supersedes=supersedes)
        self.seen.append(grant(self.ledger, made))
        self.states[name] = State.LIVE
        self.states.update(dict.fromkeys(set(supersedes) - self.erased, State.SUPERSEDED))

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), grantee=st.sampled_from(["client:app-2", "organization:org-1"]))
    def change(self, data: st.DataObject, grantee: str) -> None:
        before = data.draw(st.sampled_from(self.seen))
        made = consent(before.id, before.patient, grantees=(grantee,))
        append(self.ledger, CHANGE, before.patient, *change_facts(made, before.refs[-1]))
        if before.id not in self.erased:
            self.seen.append(_taken(self.ledger, before.id))

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), stop=st.booleans())
    def revoke(self, data: st.DataObject, stop: bool) -> None:
        before = data.draw(st.sampled_from(self.seen))
        facts = revoke_facts(before.refs[-1], "patient-request", stop=stop)
        append(self.ledger, REVOKE, before.patient, facts, {})
        known = self.states.get(before.id)
        if known is State.LIVE or (known is State.REVOKED and stop):
            self.states[before.id] = State.STOPPED if stop else State.REVOKED

    @rule(patient=st.sampled_from(PATIENTS))
    def destroy(self, patient: str) -> None:
        self.ledger.destroy(patient)
        self.unnoticed |= {c.id for c in self.ledger.registry.all_of(patient)}

    @precondition(lambda self: self.unnoticed)
    @rule(patient=st.sampled_from(PATIENTS))
    def notice(self, patient: str) -> None:
        self.ledger.erase(patient)
        self.unnoticed |= {c.id for c in self.ledger.registry.all_of(patient)}
        notice(self.ledger)
        self.erased |= self.unnoticed
        self.states = {name: state for name, state in self.states.items() if name not in self.erased}
        self.unnoticed = set()

    @precondition(lambda self: not self.unnoticed)
    @invariant()
    def a_replay_gives_the_same(self) -> None:
        assert state_of(self.ledger.replayed()) == state_of(self.ledger.registry)

    @invariant()
    def the_states_are_those_of_the_model(self) -> None:
        registry = self.ledger.registry
        found = {c.id: c.state for patient in PATIENTS for c in registry.all_of(patient)}
        assert found == self.states
        for patient in PATIENTS:
            live = [c for c in registry.all_of(patient) if c.state is State.LIVE]
            assert list(registry.live(patient)) == live
            for identity in ("client:app-1", "client:app-2", "organization:org-1"):
                named = any(identity in c.grantees for c in live)
                assert (patient in registry.by_grantee(identity)) is named


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


def test_canonical_facts_are_what_the_ledger_hands_back() -> None:
    facts, texts = grant_facts(
        consent("c1", purposes=("TREAT",), labels=("HIV",), from_="2026-01-01", until="2027-01-01")
    )
    assert set(facts) == {"doc", "scp", "aud", "pou", "cat", "nbf", "exp"}
    assert canonical(facts)
    assert facts["doc"] == sha256_text(texts["doc"].encode())
