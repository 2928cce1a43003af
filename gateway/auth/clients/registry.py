"""The registry of clients: registered, changed, disabled and removed, each change in force from the next
request on, in every process.

An id and a secret hold nothing that an encoding could change, so a client that encodes them for HTTP Basic
(RFC 6749 section 2.3.1) and one that does not send the same. A new secret ends the old one at once: it is
mostly asked for because somebody else has the old one, and a client that must change its credential without
a gap registers keys, of which it can have two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from sqlmodel import Session, col, select

from gateway.auth.clients.client_keys import ClientKeys, check_sound
from gateway.auth.store import assertions, clients, grants
from gateway.auth.store.clients import ClientRow, RegisteredBy
from gateway.auth.store.database import Database, digest_of
from gateway.auth.store.grants import Access, Code, Grant
from gateway.core.smart.client import Client
from gateway.core.smart.metadata import metadata_json, read_metadata
from gateway.errors import BadRequest, NotFound, OAuthError, StateUnavailable

TABLES = (*clients.TABLES, *assertions.TABLES, *grants.TABLES)
"""All that a database of clients has."""

HOUR_S: Final = 3600
SWEEP_EVERY_S: Final = 30
"""How often assertions that are over are forgotten: each time for those of so many seconds."""
MOST_AN_HOUR: Final = 100
MOST_DYNAMIC: Final = 10_000

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9_-]{43,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a new client is given, both made by us: `secret` for a symmetric client, `registration` for one
    that may change its own registration (RFC 7592). Raises ValueError for what has too few random bits."""

    secret: str | None = field(default=None, repr=False)
    registration: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        given = [text for text in (self.secret, self.registration) if text is not None]
        if any(_SECRET.fullmatch(text) is None for text in given):
            raise ValueError("a secret has 43 characters of base64url or more")


@dataclass(frozen=True, slots=True)
class Registered:
    """A client and what the registry holds of it; `secret` and `registration` are digests."""

    client: Client
    registered_by: RegisteredBy
    created_s: int
    disabled_s: int | None = None
    secret: bytes | None = field(default=None, repr=False)
    registration: bytes | None = field(default=None, repr=False)


class Clients:
    """All clients of one database. `keys` are the key sets that clients publish."""

    def __init__(self, database: Database, keys: ClientKeys | None = None) -> None:
        self.keys = ClientKeys() if keys is None else keys
        self._database = database
        self._sweep_from_s = 0

    async def get(self, client: str) -> Client | None:
        """The client if it is in use: None for one that is disabled or not known."""
        found = await self.find(client)
        return None if found is None or found.disabled_s is not None else found.client

    async def find(self, client: str) -> Registered | None:
        """The client, in use or disabled. Raises StateUnavailable, as all of these do."""

        def work(session: Session) -> Registered | None:
            row = clients.client_row(session, client)
            return None if row is None else _registered(row)

        return await self._database.run(work)

    async def all(self) -> list[Registered]:
        """By id, in use and disabled."""
        return await self._database.run(
            lambda session: [_registered(row) for row in clients.all_clients(session)]
        )

    async def add(self, client: Client, by: RegisteredBy, secrets: Secrets, now_s: int) -> Registered:
        """Registers a client; a symmetric one with a secret, no other with one.

        Raises:
            BadRequest: the id has other characters than letters, digits and . _ -, or was given before.
            OAuthError: a key cannot be used; or too many registered themselves (429).
        """
        _check(client, secrets)
        row = ClientRow(
            id=client.id,
            document=_document(client),
            secret=_digest(secrets.secret),
            registration=_digest(secrets.registration),
            registered_by=by,
            created_s=now_s,
        )

        def work(session: Session) -> Registered:
            if by == "dynamic":
                _check_room(session, now_s)
            if not clients.add_client(session, row):
                raise BadRequest("There is or was a client with this id; an id is never given again.")
            return _registered(row)

        return await self._database.run(work)

    async def replace(self, client: Client) -> Registered:
        """Puts other metadata in the place of a client's. How it authenticates stays as it is.

        Raises NotFound; OAuthError for another way to authenticate, or a key that cannot be used.
        """
        check_sound(client)

        def change(row: ClientRow) -> None:
            if _registered(row).client.auth_method != client.auth_method:
                raise OAuthError(
                    "invalid_client_metadata",
                    "The token_endpoint_auth_method of a client stays as it is; register another client.",
                )
            row.document = _document(client)

        return await self._change(client.id, change)

    async def set_secret(self, client: str, secret: str) -> Registered:
        """Gives a symmetric client another secret; the old one is over. Raises NotFound, BadRequest."""
        digest = _digest(Secrets(secret).secret)

        def change(row: ClientRow) -> None:
            if row.secret is None:
                raise BadRequest("This client does not authenticate by a secret.")
            row.secret = digest

        return await self._change(client, change)

    async def set_disabled(self, client: str, disabled: bool, now_s: int) -> Registered:
        """Keeps a client from anything new, or lets it go on. Raises NotFound."""

        def change(row: ClientRow) -> None:
            row.disabled_s = (row.disabled_s or now_s) if disabled else None

        return await self._change(client, change)

    async def remove(self, client: str, now_s: int) -> list[Access]:
        """Removes a client and ends all that it was granted; its id stays taken. Raises NotFound.

        Gives the access tokens that have not expired: the ledger is still to be told of their end.
        """

        def work(session: Session) -> list[Access]:
            clients.remove_client(_known(session, client), now_s)
            for code in session.exec(select(Code).where(col(Code.client) == client)):
                session.delete(code)
            held = session.exec(select(Grant.id).where(col(Grant.client) == client)).all()
            return [access for grant in held for access in grants.end_grant(session, grant, now_s)]

        return await self._database.run(work)

    async def live_tokens(self, client: str, now_s: int) -> list[Access]:
        """The access tokens that have not expired, of all that the client was granted."""
        theirs = (
            select(Access)
            .join(Grant)
            .where(col(Grant.client) == client, col(Access.exp_s) > now_s)
            .order_by(col(Access.entry))
        )
        return await self._database.run(lambda session: [*session.exec(theirs)])

    async def first_use(self, client: str, jti: str, exp_s: int, now_s: int) -> bool:
        """Whether an assertion of the client is new; from now on it is not."""

        def work(session: Session) -> bool:
            if now_s >= self._sweep_from_s:
                assertions.sweep(session, now_s)
                self._sweep_from_s = now_s + SWEEP_EVERY_S
            return assertions.first_use(session, client, jti, exp_s, now_s)

        return await self._database.run(work)

    async def _change(self, client: str, change: Callable[[ClientRow], None]) -> Registered:
        def work(session: Session) -> Registered:
            row = _known(session, client)
            change(row)
            return _registered(row)

        return await self._database.run(work)


def _check(client: Client, secrets: Secrets) -> None:
    if _ID.fullmatch(client.id) is None:
        raise BadRequest("A client's id has up to 128 letters, digits and . _ -, a letter or digit first.")
    if (client.kind == "symmetric") != (secrets.secret is not None):
        raise ValueError("a symmetric client has a secret, and no other one has")
    check_sound(client)


def _check_room(session: Session, now_s: int) -> None:
    there, lately = clients.registered_themselves(session, now_s - HOUR_S)
    if there >= MOST_DYNAMIC or lately >= MOST_AN_HOUR:
        raise OAuthError(
            "temporarily_unavailable", "Too many clients have registered; try again in an hour.", 429
        )


def _known(session: Session, client: str) -> ClientRow:
    row = clients.client_row(session, client)
    if row is None:
        raise NotFound("There is no client with this id.")
    return row


def _registered(row: ClientRow) -> Registered:
    try:
        client = read_metadata(json.loads(row.document), row.id)
    except (OAuthError, ValueError) as damaged:
        # What is registered was checked before: it is the database that is wrong, not who asks.
        raise StateUnavailable from damaged
    by = cast("RegisteredBy", row.registered_by)
    return Registered(client, by, row.created_s, row.disabled_s, row.secret, row.registration)


def _document(client: Client) -> str:
    return json.dumps(metadata_json(client), separators=(",", ":"))


def _digest(secret: str | None) -> bytes | None:
    return None if secret is None else digest_of(secret)
