"""`consentry client`: the apps and services that may ask the gateway's own authorization server for tokens.

Each change holds from the next request on, in a running server too. A secret is printed once, when it is
made, and is stored nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gateway.auth.clients.registry import TABLES, Clients, Registered, Secrets
from gateway.auth.store.database import Database
from gateway.auth.store.grants import Access
from gateway.auth.tokens.ending import MOST_AT_ONCE, Why
from gateway.cli.client_view import described, lines
from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.cli.service_tokens import service_tokens
from gateway.config import Settings
from gateway.consents.entries import TOKEN_REVOKE, end_of_token_facts
from gateway.core.canon import Json
from gateway.core.fhir import codec
from gateway.core.record import Draft
from gateway.core.smart.client import AUTH_METHODS, GRANT_TYPES, Client
from gateway.core.smart.metadata import read_metadata
from gateway.errors import BadRequest, NotFound
from gateway.house import OpenHouse, new_id, new_secret, now_ms
from gateway.ledger.keys import load_keys

T = TypeVar("T")

MAX_FILE_BYTES: Final = 256 * 1024

client_argument = click.argument("client_id", metavar="CLIENT")
json_file = click.File("rb")


@dataclass(frozen=True, slots=True)
class _Office:
    """What the commands work with."""

    clients: Clients
    now_s: int


@click.group()
def client() -> None:
    """Register the apps and services that may ask for tokens, and change what they are."""


@client.command()
@click.argument("client_id", metavar="[CLIENT]", required=False)
@click.option("--metadata", type=json_file, help="Client metadata in JSON (RFC 7591), - for standard input.")
@click.option("--name", "client_name", metavar="NAME", help="What people read where they decide.")
@click.option(
    "--auth-method",
    "token_endpoint_auth_method",
    type=click.Choice(AUTH_METHODS),
    help="How it authenticates; client_secret_basic if nothing is said.",
)
@click.option(
    "--grant-type", "grant_types", multiple=True, type=click.Choice(GRANT_TYPES), help="Repeatable."
)
@click.option("--redirect-uri", "redirect_uris", multiple=True, metavar="URI", help="Exact; repeatable.")
@click.option("--launch-uri", "launch_uris", multiple=True, metavar="URI", help="Exact; repeatable.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="The most it can get; repeatable.")
@click.option("--jwks", type=json_file, help="A file with its public keys, a JWK set.")
@click.option("--jwks-uri", "jwks_uris", multiple=True, metavar="URI", help="Where they are; repeatable.")
@click.option("--contact", "contacts", multiple=True, metavar="TEXT", help="Whom to ask; repeatable.")
@config_option
@json_option
def add(config: Path, as_json: bool, client_id: str | None, metadata: Any, **options: Any) -> None:
    """Register a client, from options, a file, or a file with options in the place of what it says.

    Without CLIENT it is given an id. A client with a secret is told it now, and never again.
    """
    given = {**_metadata(metadata), **_members(options)}
    new = read_metadata(given, client_id or new_id())
    secrets = Secrets(new_secret() if new.kind == "symmetric" else None)
    added = _in_office(
        settings_of(config), lambda office: office.clients.add(new, "operator", secrets, office.now_s)
    )
    _print(added, as_json, secrets.secret)


@client.command()
@client_argument
@config_option
@json_option
def show(config: Path, as_json: bool, client_id: str) -> None:
    """Show what a client is registered as."""
    _print(_in_office(settings_of(config), lambda office: _found(office, client_id)), as_json)


@client.command(name="list")
@config_option
@json_option
def list_(config: Path, as_json: bool) -> None:
    """List all clients, by id."""
    found = _in_office(settings_of(config), lambda office: office.clients.all())
    if as_json:
        listed: list[Json] = [described(each) for each in found]
        print_json({"clients": listed})
    else:
        click.echo("\n".join(lines(each)[0] for each in found) if found else "There is no client yet.")


@client.command()
@client_argument
@click.option("--metadata", type=json_file, required=True, help="All of its new metadata, in JSON.")
@config_option
@json_option
def change(config: Path, as_json: bool, client_id: str, metadata: Any) -> None:
    """Put other metadata in the place of a client's; `client show --json` prints what there is."""
    new = read_metadata(_metadata(metadata), client_id)
    _print(_in_office(settings_of(config), lambda office: office.clients.replace(new)), as_json)


@client.command()
@client_argument
@config_option
@json_option
def secret(config: Path, as_json: bool, client_id: str) -> None:
    """Give a client a new secret and print it, this once. The old one is over at once."""
    made = new_secret()
    _print(
        _in_office(settings_of(config), lambda office: office.clients.set_secret(client_id, made)),
        as_json,
        made,
    )


@client.command()
@client_argument
@config_option
@json_option
def disable(config: Path, as_json: bool, client_id: str) -> None:
    """Give a client nothing more, and end its access tokens."""
    settings = settings_of(config)

    async def work(office: _Office) -> tuple[Registered, list[Access]]:
        done = await office.clients.set_disabled(client_id, True, office.now_s)
        return done, await office.clients.live_tokens(client_id, office.now_s)

    done, left = _in_office(settings, work)
    _withdraw(settings, done.client, left, "operator")
    _print(done, as_json)


@client.command()
@client_argument
@config_option
@json_option
def enable(config: Path, as_json: bool, client_id: str) -> None:
    """Let a disabled client go on, with what it had been granted."""
    _print(
        _in_office(
            settings_of(config), lambda office: office.clients.set_disabled(client_id, False, office.now_s)
        ),
        as_json,
    )


@client.command()
@client_argument
@config_option
@json_option
def remove(config: Path, as_json: bool, client_id: str) -> None:
    """Remove a client and all that it was granted. Its id is never given again."""
    settings = settings_of(config)

    async def work(office: _Office) -> tuple[Client, list[Access]]:
        found = await _found(office, client_id)
        return found.client, await office.clients.remove(client_id, office.now_s)

    removed, left = _in_office(settings, work)
    _withdraw(settings, removed, left, "client-removed")
    if as_json:
        print_json({"client_id": client_id, "removed": True})
    else:
        click.echo(f"{client_id} is removed.")


def _in_office(settings: Settings, work: Callable[[_Office], Awaitable[T]]) -> T:
    """What `work` comes to on the database of clients, which is made if there is none."""
    load_keys(settings.ledger.keys)  # says what to do where there is no gateway yet

    async def whole() -> T:
        database = Database(settings.ledger.store.with_name("auth.db"), TABLES)
        try:
            return await work(_Office(Clients(database), now_ms() // 1000))
        finally:
            database.close()

    return asyncio.run(whole())


def _withdraw(settings: Settings, gone: Client, left: Sequence[Access], reason: Why) -> None:
    """Tells the ledger that these tokens are over, and a service's own. If this fails: `disable` can be run
    again, those that people approved for a removed client a server finishes (`ending.sweep`), and a service's
    own last five minutes."""
    is_service = "client_credentials" in gone.grant_types
    if not left and not is_service:
        return

    async def record(house: OpenHouse) -> None:
        common: dict[str, Json] = {"act": "operator", "cli": gone.id, "rid": new_id(), "pol": house.policy}
        places = [(access.entry, access.hash) for access in left]
        if is_service:
            places += service_tokens(house, gone.id, now_ms() // 1000)
        _, view = house.consents.at_head()
        drafts = [
            Draft(TOKEN_REVOKE, None, {**common, **end_of_token_facts(place, reason)})
            for place in places
            if not view.is_revoked(place)
        ]
        for first in range(0, len(drafts), MOST_AT_ONCE):
            await house.record(drafts[first : first + MOST_AT_ONCE])

    in_house(settings, record)


async def _found(office: _Office, client_id: str) -> Registered:
    found = await office.clients.find(client_id)
    if found is None:
        raise NotFound("There is no client with this id.")
    return found


def _members(options: dict[str, Any]) -> dict[str, object]:
    """The metadata that the options say."""
    file, uris, scopes = options.pop("jwks"), options.pop("jwks_uris"), options.pop("scopes")
    given: dict[str, object] = {
        name: [*value] if isinstance(value, tuple) else value for name, value in options.items() if value
    }
    if file is not None:
        given["jwks"] = _json(file)
    if uris:
        given["jwks_uris"] = [*uris]
    if scopes:
        given["scope"] = " ".join(scopes)
    return given


def _metadata(file: Any) -> dict[str, object]:
    given = {} if file is None else _json(file)
    if not isinstance(given, dict):
        raise BadRequest("The metadata is not a JSON object.")
    return given


def _json(file: Any) -> Any:
    data: bytes = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadRequest(f"{file.name} is longer than {MAX_FILE_BYTES} bytes.")
    try:
        return codec.parse(data)
    except codec.CodecError as error:
        raise BadRequest(f"{file.name} is not JSON that is accepted: {error}.") from error


def _print(found: Registered, as_json: bool, secret: str | None = None) -> None:
    if as_json:
        told: dict[str, Json] = {} if secret is None else {"client_secret": secret}
        print_json({**described(found), **told})
    else:
        told_line = [] if secret is None else [f"  secret {secret}"]
        click.echo("\n".join([*lines(found), *told_line]))
