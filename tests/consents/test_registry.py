"""The registry after each kind of change, in order and out of it."""

from __future__ import annotations

import pytest

from gateway.consents.entries import grant_facts
from gateway.core.canon import b64url, canonical, sha256_text
from gateway.core.consent.rule import State
from gateway.core.values import ConsentRef
from tests.consents.ledger import Ledger
from tests.consents.steps import change, consent, grant, notice, revoke, state_of

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


# --- Facts -----------------------------------------------------------------------------------------


def test_canonical_facts_are_what_the_ledger_hands_back() -> None:
    facts, texts = grant_facts(
        consent("c1", purposes=("TREAT",), labels=("HIV",), from_="2026-01-01", until="2027-01-01")
    )
    assert set(facts) == {"doc", "scp", "aud", "pou", "cat", "nbf", "exp"}
    assert canonical(facts)
    assert facts["doc"] == sha256_text(texts["doc"].encode())
