"""`consentry keys`: the keys of a gateway and its empty ledger, made once, and their public halves.

A new ledger begins with who signs it: the first entries name the log's key and the gateway's. What an
interrupted `init` left undone is done by the next, and so is the key of id_tokens for an older folder.
"""

from __future__ import annotations

from pathlib import Path

import click

from gateway import mapping
from gateway.app import OpenHouse, new_id
from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.config import Settings
from gateway.core.canon import Json
from gateway.core.record import Draft
from gateway.errors import ConfigError
from gateway.ledger.keys import KeyRing, add_openid_key, init_keys, load_keys
from gateway.ledger.ledger import create_ledger


@click.group()
def keys() -> None:
    """Make the gateway's keys and ledger; show the public keys."""


@keys.command()
@config_option
@json_option
def init(config: Path, as_json: bool) -> None:
    """Make the key folder and the empty ledger, once.

    Existing keys are never overwritten. Back the folder up apart from the ledger: without it the history
    cannot be read, and with it and the ledger everything can.
    """
    ring = init_all(settings_of(config))
    if as_json:
        print_json(_public(ring))
    else:
        click.echo(f"Made keys in {ring.folder} and the ledger {ring.origin}. Back the folder up.")
        _print(ring)


@keys.command()
@config_option
@json_option
def show(config: Path, as_json: bool) -> None:
    """Print the public keys and their ids."""
    ring = load_keys(settings_of(config).ledger.keys)
    if as_json:
        print_json(_public(ring))
    else:
        _print(ring)


def init_all(settings: Settings) -> KeyRing:
    """Keys, ledger and its first entries, as far as they are missing. Raises ConfigError if nothing is."""
    folder, store = settings.ledger.keys, settings.ledger.store
    there = (folder / "log.key").exists()
    ring = load_keys(folder) if there else init_keys(folder, settings.ledger.origin)
    added = add_openid_key(folder)
    if added:
        ring = load_keys(folder)
    if not ring.checkpoint_path.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        create_ledger(store, ring)
    if not in_house(settings, _begin) and not added:
        raise ConfigError(
            f"There are keys in {folder} and a ledger at {store} already, and nothing was changed; "
            "`consentry keys show` prints the public keys."
        )
    return ring


async def _begin(house: OpenHouse) -> bool:
    """Record the first keys; False if the ledger has entries already."""
    if house.ledger.head().size:
        return False
    request_id = new_id()
    drafts = [
        Draft(
            "key.rotate",
            None,
            {
                "act": "operator",
                "kind": kind,
                "new": str(key),
                "old": None,
                "pol": mapping.digest(),
                "rid": request_id,
            },
        )
        for kind, key in (("log", house.keys.log.verifier), ("gw", house.keys.gateway.verifier))
    ]
    await house.record(drafts)
    return True


def _public(ring: KeyRing) -> dict[str, Json]:
    return {
        name: {"id": key.key_id.hex(), "name": key.name, "vkey": str(key)}
        for name, key in (("log", ring.log.verifier), ("gateway", ring.gateway.verifier))
    }


def _print(ring: KeyRing) -> None:
    for name, key in (("log", ring.log.verifier), ("gateway", ring.gateway.verifier)):
        click.echo(f"{name:<8} {key.key_id.hex()}  {key}")
