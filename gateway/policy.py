"""What decides here, as one digest: the `pol` of every entry of the ledger (docs/formats.md).

It covers the mappings whole, and every setting but those that are listed below: one that is new counts until
it is listed. Where files lie and what secrets are decides nothing, and a digest of a secret could be guessed
at, so neither counts. Order never does: lists here are sets, and tables have names.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway import mapping
from gateway.config import Secret, Settings
from gateway.config.settings import LISTS, SETTINGS
from gateway.core.canon import Json, canonical

DOMAIN: Final = b"fhir-ledger/policy/v1\n"

DECIDES_NOTHING: Final[Mapping[str, frozenset[str]]] = {
    "server": frozenset(
        {"host", "port", "workers", "http", "log_level", "max_body_bytes", "client_address_header"}
    ),
    "ledger": frozenset({"origin"}),
    "upstreams": frozenset({"name", "timeout_s", "max_body_bytes", "max_count"}),
    "login_providers": frozenset({"name", "title", "client_id", "scopes", "resource"}),
}
"""Addresses, limits and names that no decision depends on, by section."""


def digest_of(settings: Settings) -> str:
    """SHA-256, hex, over the mappings and the settings that decide. Raises ConfigError."""
    whole: Json = {"mappings": mapping.digest(), "settings": deciding(settings)}
    return hashlib.sha256(DOMAIN + canonical(whole)).hexdigest()


def deciding(settings: Settings) -> dict[str, Json]:
    """The settings that decide, by section."""
    return {section: _section(section, settings) for section in SETTINGS}


def _section(section: str, settings: Settings) -> Json:
    held = getattr(settings, section.rpartition(".")[2])
    if section not in LISTS:
        return _table(section, held)
    return sorted((_table(section, each) for each in held), key=canonical)


def _table(section: str, table: object) -> dict[str, Json]:
    names = SETTINGS[section].keys() - DECIDES_NOTHING.get(section, frozenset())
    values = {name: getattr(table, name) for name in names}
    return {name: _plain(value) for name, value in values.items() if not isinstance(value, _LEFT_OUT)}


_LEFT_OUT: Final = (Path, Secret, type(None))


def _plain(value: object) -> Json:
    """A setting's value in the words of canonical JSON, which has no floats and no sets."""
    match value:
        case bool() | int() | str():
            return value
        case float():
            return repr(value)  # the shortest decimal that is this number, on every platform
        case ipaddress.IPv4Network() | ipaddress.IPv6Network():
            return str(value)
        case tuple() | frozenset():
            return sorted(map(_plain, value), key=canonical)
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case _:
            raise TypeError(f"a setting of type {type(value).__name__} has no place in the policy yet")
