"""How what was granted ends before its time: no refreshing, and an entry for each token that still lives.

A grant ends in our own database first, then the ledger is told of its access tokens, then they are
forgotten here. A crash in between leaves tokens of an ended grant: whoever ends it again finds them, and so
does `sweep`. To tell the ledger twice changes nothing. An entry of this kind names no patient: it is under
the organisation's key, so that no erasure brings a token back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, Protocol

from gateway.auth.people.authorities import lapsed
from gateway.auth.ports import Consents
from gateway.auth.store import grants
from gateway.auth.store.database import Database
from gateway.auth.store.grants import Access, Grant
from gateway.consents.entries import TOKEN_REVOKE, end_of_token_facts
from gateway.core.canon import Json
from gateway.core.record import Draft
from gateway.ledger.reading import Receipt

Why = Literal[
    "client-request", "replay", "consent-ended", "authority-ended", "logged-out", "user-disabled",
    "user-request", "operator", "client-removed", "grant-ended",
]  # fmt: skip
"""The reason codes of `token.revoke` entries."""

MOST_AT_ONCE: Final = 200

Place = tuple[int, str]
"""Index and leaf hash of the entry of a token's issue."""


class Ending(Protocol):
    """What ending needs of the outside; `Ports` has it."""

    @property
    def database(self) -> Database: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def policy(self) -> str: ...
    @property
    def record(self) -> Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]: ...
    @property
    def now_ms(self) -> Callable[[], int]: ...
    @property
    def new_id(self) -> Callable[[], str]: ...


async def end_grant(ports: Ending, grant: str, why: Why, by: str) -> None:
    """Ends the grant with all its tokens. `by` is who acts, as entries name them.

    Raises StateUnavailable; LedgerUnavailable, and then its access tokens live until it is ended again, or
    swept.
    """
    now_s = ports.now_ms() // 1000
    client, left = await ports.database.run(
        lambda session: (session.get_one(Grant, grant).client, grants.end_grant(session, grant, now_s))
    )
    await withdraw(ports, left, client, why, by)


async def finish(ports: Ending, subject: str, why: Why, by: str) -> None:
    """Tells the ledger of what ended of a person, or of a service, in our database alone. Raises as
    `end_grant`."""
    now_s = ports.now_ms() // 1000
    for grant in await ports.database.run(lambda session: grants.unfinished(session, now_s, subject)):
        await end_grant(ports, grant, why, by)


async def withdraw(ports: Ending, left: Sequence[Access], client: str, why: Why, by: str) -> None:
    """Records that these tokens of `client` are over, and forgets them. Raises as `end_grant`."""
    await record_end(ports, [(access.entry, access.hash) for access in left], client, why, by)
    if left:
        entries = [access.entry for access in left]
        await ports.database.run(lambda session: grants.forget_access(session, entries))


async def record_end(ports: Ending, places: Sequence[Place], client: str, why: Why, by: str) -> None:
    """An entry for each token that is not over yet, by the entry of its issue. Raises LedgerUnavailable."""
    _, view = ports.consents.at_head()
    alive = [place for place in places if not view.is_revoked(place)]
    request_id = ports.new_id()
    common: dict[str, Json] = {"act": by, "cli": client, "pol": ports.policy, "rid": request_id}
    drafts = [Draft(TOKEN_REVOKE, None, {**common, **end_of_token_facts(place, why)}) for place in alive]
    for first in range(0, len(drafts), MOST_AT_ONCE):
        await ports.record(drafts[first : first + MOST_AT_ONCE])


async def sweep(ports: Ending) -> None:
    """Ends what an authority carried that is over by now, finishes what a crash or an absent ledger left of
    ended grants, and removes what is over for good.

    For the start of a server, and then every few minutes. Raises StateUnavailable, LedgerUnavailable.
    """
    now_s = ports.now_ms() // 1000
    for grant in await ports.database.run(lambda session: lapsed(session, now_s)):
        await end_grant(ports, grant, "authority-ended", "gateway")
    for grant in await ports.database.run(lambda session: grants.unfinished(session, now_s)):
        await end_grant(ports, grant, "grant-ended", "gateway")
    await ports.database.run(lambda session: grants.remove_expired(session, now_s))
