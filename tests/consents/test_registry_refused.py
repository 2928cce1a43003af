"""What no honest ledger holds: the registry refuses it, and is then as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.consents.entries import CHANGE, GRANT, REVOKE, change_facts, grant_facts, revoke_facts
from gateway.consents.registry import Registry
from gateway.core.canon import Json, b64url, sha256_text
from gateway.core.values import ConsentRef
from gateway.errors import VerificationFailed
from tests.consents.ledger import Entry, Ledger, parse_scope
from tests.consents.steps import change, consent, grant, notice, revoke, state_of


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
