"""The registry is at the ledger's head whenever it is read, or it is not read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.consents.draft import Draft, read_draft
from gateway.consents.entries import GRANT, REVOKE, grant_facts, revoke_facts
from gateway.consents.follow import Followed, Follower
from gateway.consents.registry import Registry
from gateway.errors import LedgerUnavailable, VerificationFailed
from tests.consents.ledger import Ledger, parse_scope


class Source:
    """A ledger written by somebody else: it can be followed, counts how often it is read, and can fail."""

    def __init__(self) -> None:
        self.ledger, self.reads = Ledger(), 0
        self.fails: Exception | None = None
        self.fails_after = 0
        self.follower = Follower(Registry(parse_scope), lambda: len(self.ledger.entries), self.after)

    def after(self, index: int) -> Iterator[Followed]:
        self.reads += 1
        if self.fails is not None and index == self.fails_after:
            raise self.fails
        return self.ledger.after(index)

    async def grant(self, name: str, patient: str = "p1") -> None:
        draft = Draft(patient, grantees=("client:app-1",), scopes=("patient/*.rs",))
        consent = read_draft(draft, name, parse_scope, 0)
        facts, texts = grant_facts(consent)
        await self.ledger.record(GRANT, facts, patient, texts)

    async def revoke(self, name: str) -> None:
        consent = self.ledger.registry.get(name)
        assert consent is not None
        facts = revoke_facts(consent.refs[-1], "patient-request", stop=False)
        await self.ledger.record(REVOKE, facts, "p1", {})

    def live(self, patient: str = "p1") -> list[str]:
        return [consent.id for consent in self.follower.at_head()[1].live(patient)]


async def test_what_was_appended_since_holds_for_the_next_request() -> None:
    source = Source()
    assert source.live() == []
    await source.grant("c1")
    await source.grant("c2")
    assert source.live() == ["c1", "c2"]
    await source.revoke("c1")
    assert source.live() == ["c2"]


async def test_an_unchanged_head_is_not_read_again() -> None:
    source = Source()
    await source.grant("c1")
    first = source.follower.at_head()[0]
    reads = source.reads
    assert source.follower.at_head()[0] == first
    assert source.reads == reads
    await source.grant("c2")
    assert source.follower.at_head()[0] != first
    assert source.reads == reads + 1


@pytest.mark.parametrize("failure", [VerificationFailed("entry 1"), LedgerUnavailable()], ids=["bad", "down"])
async def test_no_older_state_is_given_when_the_head_cannot_be_reached(failure: Exception) -> None:
    source = Source()
    await source.grant("c1")
    assert source.live() == ["c1"]
    await source.revoke("c1")
    source.fails = failure
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            source.live()
    source.fails = None
    assert source.live() == []


# --- Erasure -----------------------------------------------------------------------------------------


async def test_an_erasure_is_forgotten_by_a_gateway_that_runs() -> None:
    source = Source()
    await source.grant("c1")
    await source.grant("c2", "p2")
    assert (source.live(), source.live("p2")) == (["c1"], ["c2"])
    source.ledger.erase("p1")
    assert (source.live(), source.live("p2")) == ([], ["c2"])
    assert source.follower.at_head()[1].get("c1") is None
    reads = source.reads
    await source.grant("c3")
    assert source.live() == ["c3"]
    assert source.reads == reads + 1, "once looked at is enough"


async def test_a_consent_that_is_erased_before_it_is_followed_stops_nobody() -> None:
    source = Source()
    await source.grant("c1")
    await source.grant("c2", "p2")
    source.ledger.destroy("p1")
    await source.revoke("c1")
    assert (source.live(), source.live("p2")) == ([], ["c2"])


async def test_an_erasure_that_could_not_be_followed_is_followed_later() -> None:
    source = Source()
    await source.grant("c1")
    assert source.live() == ["c1"]
    source.ledger.erase("p1")
    source.fails, source.fails_after = LedgerUnavailable(), -1
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            source.live()
    source.fails = None
    assert source.live() == []
