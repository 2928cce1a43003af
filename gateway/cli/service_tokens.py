"""The access tokens of a service that are in force: found in the ledger, as nothing else knows of them.

The token endpoint keeps no list of them: they last five minutes, and a note for each would cost nearly as
much as the token. Whoever ends a service looks through the issues of those minutes instead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from gateway.auth.tokens.ending import Place
from gateway.auth.tokens.token import SERVICE_S
from gateway.core.canon import b64url
from gateway.core.tlog.entry import Entry
from gateway.errors import Gone
from gateway.house import OpenHouse
from gateway.ledger.store import StoreReader

ISSUE: Final = frozenset({"token.issue"})
SLACK_S: Final = 60
"""How far out of their order entries may lie: clocks of gateways differ, and entries of a second mix."""


def service_tokens(house: OpenHouse, client: str, now_s: int) -> Iterator[Place]:
    """The places of those that `client` was issued itself and that have not expired; oldest first.

    Raises LedgerUnavailable, VerificationFailed.
    """
    first = _first_from(house.ledger.reader, now_s - SERVICE_S - SLACK_S)
    for stored in house.ledger.entries_of(ISSUE, first - 1):
        try:
            opened = house.reader.open(stored)
        except Gone:
            continue  # a patient's, who was erased: a service's own entries name none
        facts = opened.facts
        expires_s = facts.get("exp")
        in_force = isinstance(expires_s, int) and expires_s > now_s
        if in_force and facts.get("cli") == client and facts.get("act") == client:
            yield opened.index, b64url(opened.leaf_hash)


def _first_from(reader: StoreReader, at_s: int) -> int:
    """The index of the first entry that was made at `at_s` or later, by the entries' own times."""

    def made_s(index: int) -> int:
        stored = reader.entry(index)
        assert stored is not None, "every index below the head has its entry"
        return Entry.parse(stored.leaf).at_s

    return bisect_left(range(reader.head().size), at_s, key=made_s)
