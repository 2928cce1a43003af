"""How commands end what was granted: first in the authorization server's database, then in the ledger.

The ledger is opened only when it has something to be told, through the server that writes it if one runs.
What cannot be told now is told by the same command again, or by a server (`ending.sweep`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.auth.store import grants
from gateway.auth.store.database import Database
from gateway.auth.tokens.ending import Why, finish
from gateway.cli.press import Desk
from gateway.config import Settings
from gateway.consents.service import OPERATOR
from gateway.core.record import Draft
from gateway.house import now_ms, open_house
from gateway.ledger.reading import Receipt


def recorder(settings: Settings) -> Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]:
    """Makes entries durable in the ledger, which is open for as long as that takes."""

    async def record(drafts: Sequence[Draft]) -> Sequence[Receipt]:
        async with open_house(settings) as house:
            return await house.record(drafts)

    return record


async def tell(settings: Settings, database: Database, subject: str, why: Why) -> None:
    """Tells the ledger of the tokens of a person's grants that have ended. Raises LedgerUnavailable."""
    now_s = now_ms() // 1000
    if not await database.run(lambda session: grants.unfinished(session, now_s, subject)):
        return
    async with open_house(settings) as house:
        await finish(Desk(house, {}, database), subject, why, OPERATOR)
