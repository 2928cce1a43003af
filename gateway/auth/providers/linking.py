"""Which accounts at providers are a person's: linked and unlinked by the operator, never by logging in.

An account there is one person's at most. Taking a way in away ends the sessions that the person has, by
whichever way they came in.
"""

from __future__ import annotations

from sqlmodel import Session

from gateway.auth.people.registry import known
from gateway.auth.store import attempts, links, sessions
from gateway.auth.store.database import Database
from gateway.auth.store.links import Link, Named
from gateway.core.smart import kinds
from gateway.errors import BadRequest, NotFound


class Links:
    """Those of one database. A person is found by login name; NotFound if there is none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def link(self, login: str, named: Named, now_s: int) -> None:
        """Raises BadRequest if the account there is another person's."""
        try:
            kinds.name(named.subject)
        except kinds.Wrong as wrong:
            raise BadRequest(f"The subject {wrong}.") from wrong

        def work(session: Session) -> None:
            if not links.add_link(session, named, known(session, login).id, now_s):
                raise BadRequest("This account at the provider is another person's; unlink it there first.")

        await self._database.run(work)

    async def unlink(self, login: str, named: Named, now_s: int) -> None:
        """Raises NotFound if the account there is not theirs."""

        def work(session: Session) -> None:
            person = known(session, login).id
            if not links.remove_link(session, named, person):
                raise NotFound("This account at the provider is not linked to the person.")
            sessions.end_sessions_of(session, person, now_s)
            attempts.forget_devices(session, person)

        await self._database.run(work)

    async def of(self, login: str) -> list[Link]:
        return await self._database.run(lambda session: links.links_of(session, known(session, login).id))
