"""Any interleaving of changes, by gateways that know more and less: replaying it gives the same."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.consents.entries import CHANGE, REVOKE, change_facts, revoke_facts
from gateway.core.consent.rule import Consent, State
from tests.consents.ledger import Ledger
from tests.consents.steps import PATIENTS, append, consent, grant, notice, state_of, taken


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
            self.seen.append(taken(self.ledger, before.id))

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
