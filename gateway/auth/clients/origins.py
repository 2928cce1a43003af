"""The pages that may call the token endpoint: those at the origins of public clients' redirect URIs.

Where an app sends its codes is where it runs (SMART App Launch 2.2, "CORS support"). Clients with a secret or
a key run on servers, which need no leave. An answer is remembered for a second, so that who sends an Origin
with each request does not cost a look into the registry each time; a change is in force a second later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import func
from sqlmodel import Session, col, select

from gateway.auth.cors import Origins
from gateway.auth.store.clients import ClientRow
from gateway.auth.store.database import Database
from gateway.core.smart.metadata import read_metadata
from gateway.errors import OAuthError, StateUnavailable

REMEMBERED_MS: Final = 1000
REMEMBERED: Final = 256  # origins; beyond that it forgets and starts again


def public_origins(database: Database, now_ms: Callable[[], int]) -> Origins:
    """Whether an origin is one of a public client in use."""
    known: dict[str, tuple[int, bool]] = {}

    async def registered(origin: str) -> bool:
        at_ms, found = known.get(origin, (-REMEMBERED_MS, False))
        if 0 <= now_ms() - at_ms < REMEMBERED_MS:
            return found
        asked_ms, host = now_ms(), _host(origin)
        found = host is not None and await database.run(lambda session: _is_public(session, host, origin))
        if len(known) >= REMEMBERED:
            known.clear()
        known[origin] = (asked_ms, found)
        return found

    return registered


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).hostname
    except ValueError:
        return None


def _is_public(session: Session, host: str, origin: str) -> bool:
    """Of the clients that name the host at all, which are few, one has exactly this origin."""
    naming = func.instr(func.lower(col(ClientRow.document)), host) > 0
    in_use = (col(ClientRow.removed_s).is_(None), col(ClientRow.disabled_s).is_(None))
    return any(_has(row, origin) for row in session.exec(select(ClientRow).where(naming, *in_use)))


def _has(row: ClientRow, origin: str) -> bool:
    try:
        client = read_metadata(json.loads(row.document), row.id)
    except (OAuthError, ValueError) as damaged:
        raise StateUnavailable from damaged
    return client.kind == "public" and origin in client.origins
