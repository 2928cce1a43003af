"""Clients as `consentry client` says them: lines for a person to read, JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from gateway.auth.clients.registry import Registered
from gateway.core.canon import Json
from gateway.core.smart.metadata import metadata_json


def lines(found: Registered) -> list[str]:
    """One that says it all, and one for each address and scope."""
    client = found.client
    said = [client.name, client.auth_method, *client.grant_types]
    said += ["registered itself"] if found.registered_by == "dynamic" else []
    said += ["disabled"] if found.disabled_s is not None else []
    parts = {
        "redirect": client.redirect_uris,
        "launch": client.launch_uris,
        "keys at": client.jwks_uris,
        "key": [f"{key.id} ({key.kty})" for key in client.keys],
        "scope": client.scopes,
        "contact": client.contacts,
    }
    return [
        f"{client.id}: {', '.join(said)}",
        *(f"  {part} {value}" for part, values in parts.items() for value in values),
    ]


def described(found: Registered) -> dict[str, Json]:
    """The metadata as RFC 7591 has it, and what the registry adds."""
    metadata = cast("dict[str, Json]", metadata_json(found.client))
    return {
        **metadata,
        "registered_by": found.registered_by,
        "registered": _time(found.created_s),
        "disabled": None if found.disabled_s is None else _time(found.disabled_s),
    }


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
