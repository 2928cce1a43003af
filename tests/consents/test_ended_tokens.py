"""Tokens that were ended, as the registry learns of them from the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.consents.entries import TOKEN_REVOKE, end_of_token_facts
from gateway.core.canon import Json
from gateway.core.smart.claims import SKEW_S
from gateway.core.smart.issuers import DAY_S
from gateway.errors import VerificationFailed
from tests.consents.ledger import Entry, Ledger
from tests.consents.steps import consent, grant

PLACE = (3, "A" * 43)


def ended(ledger: Ledger, place: tuple[int, str] = PLACE, at_s: int = 1000) -> None:
    entry = replace(ledger.entry(TOKEN_REVOKE, end_of_token_facts(place, "logout"), {}), at_s=at_s)
    ledger.entries.append(entry)
    ledger.registry.apply(entry)


def test_a_token_is_ended_by_the_exact_entry_of_its_issue() -> None:
    ledger = Ledger()
    made = grant(ledger, consent("c1"))
    assert not ledger.registry.is_revoked(PLACE)
    ended(ledger)
    assert ledger.registry.is_revoked(PLACE)
    assert not ledger.registry.is_revoked((4, PLACE[1]))
    assert not ledger.registry.is_revoked((3, "B" * 43))
    assert ledger.registry.mark == 1
    assert ledger.registry.live("p1") == (made,)


def test_ending_it_twice_changes_nothing() -> None:
    ledger = Ledger()
    ended(ledger)
    ended(ledger)
    assert ledger.registry.is_revoked(PLACE)


def test_it_is_forgotten_when_no_token_can_have_lived_so_long() -> None:
    ledger = Ledger()
    ended(ledger, at_s=1000)
    ended(ledger, (9, "C" * 43), at_s=1000 + DAY_S + 2 * SKEW_S)
    assert ledger.registry.is_revoked(PLACE)
    ended(ledger, (10, "C" * 43), at_s=1001 + DAY_S + 2 * SKEW_S)
    assert not ledger.registry.is_revoked(PLACE)
    assert ledger.registry.is_revoked((9, "C" * 43))


@pytest.mark.parametrize("tok", [None, [], [3], ["3", "A" * 43], [True, "A" * 43], [3, 4], {"index": 3}])
def test_one_that_names_no_entry_is_damage(tok: Json) -> None:
    ledger = Ledger()
    entry: Entry = ledger.entry(TOKEN_REVOKE, {"tok": tok, "rsn": "logout"}, {})
    with pytest.raises(VerificationFailed, match="names no earlier entry"):
        ledger.registry.apply(entry)
    assert ledger.registry.mark == -1
