"""What issuing and ending tokens need of the outside, of an open house: for commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.auth.ports import Base
from gateway.auth.store.database import Database
from gateway.consents.follow import Follower
from gateway.core.record import Draft
from gateway.house import OpenHouse, new_id, now_ms
from gateway.ledger.reading import Receipt
from gateway.tokens.mint import Minter


@dataclass(frozen=True, slots=True)
class Press:
    """`bases` are those that tokens are made for, by their addresses."""

    house: OpenHouse
    bases: Mapping[str, Base]

    @property
    def minter(self) -> Minter:
        return self.house.minter

    @property
    def policy(self) -> str:
        return self.house.policy

    @property
    def consents(self) -> Follower:
        return self.house.consents

    @property
    def record(self) -> Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]:
        return self.house.record

    @property
    def now_ms(self) -> Callable[[], int]:
        return now_ms

    @property
    def new_id(self) -> Callable[[], str]:
        return new_id


@dataclass(frozen=True, slots=True)
class Desk(Press):
    """And what is written down of it beside the ledger."""

    database: Database
