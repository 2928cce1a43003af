"""`consentry keys`: the keys of a gateway and its empty ledger, and their public halves.

A new ledger begins with who signs it: the first entries name the log's key and the gateway's, which are made
once and stay. What an interrupted `init` left undone is done by the next, and so is the key of id_tokens for
an older folder. The keys that sign tokens are replaced by `rotate` and ended by `retire`.
"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.cli.token_keys import TIMES, listed, retire, rotate, time_text
from gateway.config import Settings
from gateway.core.canon import Json
from gateway.core.record import Draft
from gateway.errors import ConfigError
from gateway.house import OpenHouse, new_id, now_ms
from gateway.ledger.keys import KeyRing, add_openid_key, init_keys, load_keys
from gateway.ledger.ledger import create_ledger
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import ISSUER, OPENID, OVERLAP_S, USES


@click.group()
def keys() -> None:
    """Make the gateway's keys and ledger; show the public keys; rotate those that sign tokens."""


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
    """Print the public keys and their ids, and which keys sign tokens.

    Of those: `to come` is published and will sign, `signing` signs, `replaced` is published until it is
    retired, which may be from the time shown on.
    """
    ring = load_keys(settings_of(config).ledger.keys)
    if as_json:
        print_json(_public(ring))
    else:
        _print(ring)
        _print_token_keys(ring)


@keys.command("rotate")
@click.argument("use", type=click.Choice(list(USES)))
@click.option("--now", "at_once", is_flag=True, help="Let the new key sign at once, and not in some minutes.")
@config_option
@json_option
def rotate_key(use: str, at_once: bool, config: Path, as_json: bool) -> None:
    """Replace the key that signs access tokens (issuer) or id_tokens (openid).

    The new key is published at once and signs when every copy of the key set without it is out of use, in six
    minutes. What the old key signed stays good until it expires. With --now some apps may not know the new
    key for five minutes; if a key is to come already, --now lets that one sign.
    """
    change = rotate(settings_of(config), USES[use], at_once=at_once)
    if as_json:
        print_json(change.described())
    else:
        click.echo(
            f"{use}: {change.new} signs from {time_text(change.at_s)}, in the place of {change.old}, "
            f"which can be retired from {time_text(change.at_s + OVERLAP_S)}; entry {change.entry}."
        )


@keys.command("retire", context_settings={"ignore_unknown_options": True})  # an id may begin with `-`
@click.argument("use", type=click.Choice(list(USES)))
@click.argument("kid", metavar="KID")
@click.option("--now", "at_once", is_flag=True, help="Even if tokens that it signed are good: they end.")
@config_option
@json_option
def retire_key(use: str, kid: str, at_once: bool, config: Path, as_json: bool) -> None:
    """End a replaced key, by its id or the first eight characters of it, or more.

    It is published no more, and every token that it signed is refused within a second. Before all of them
    have expired that takes --now.
    """
    change = retire(settings_of(config), USES[use], kid, at_once=at_once)
    if as_json:
        print_json(change.described())
    else:
        click.echo(f"{use}: {change.old} is retired, and nothing it signed is good; entry {change.entry}.")


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
                "pol": house.policy,
                "rid": request_id,
            },
        )
        for kind, key in (("log", house.keys.log.verifier), ("gw", house.keys.gateway.verifier))
    ]
    await house.record(drafts)
    return True


def _public(ring: KeyRing) -> dict[str, Json]:
    return {
        **{
            name: {"id": key.key_id.hex(), "name": key.name, "vkey": str(key)}
            for name, key in (("log", ring.log.verifier), ("gateway", ring.gateway.verifier))
        },
        **{name: [*found] for name, found in _token_keys(ring).items()},
    }


def _print(ring: KeyRing) -> None:
    for name, key in (("log", ring.log.verifier), ("gateway", ring.gateway.verifier)):
        click.echo(f"{name:<8} {key.key_id.hex()}  {key}")


def _print_token_keys(ring: KeyRing) -> None:
    for name, found in _token_keys(ring).items():
        for row in found:
            times = "".join(f", {of.replace('_', ' ')} {row[of]}" for of in TIMES if row.get(of))
            click.echo(f"{name:<8} {row['kid']}  {row['state']}{times}")


def _token_keys(ring: KeyRing) -> dict[str, list[dict[str, Json]]]:
    """The keys that sign tokens, by what for."""
    uses = [ISSUER] if ring.openid_jwk is None else [ISSUER, OPENID]
    now_s = now_ms() // 1000
    return {use.name: [*listed(TokenKeyFiles(ring.folder, use).read(), now_s)] for use in uses}
