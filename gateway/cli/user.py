"""`consentry user`: who can log in at the gateway's own authorization server, and for whom they act.

Each change holds from the next request on, in a running server too. A password is typed at a prompt or read
from a file, never from the command line, where other users of the machine could see it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway import policy
from gateway.auth.people.authorities import RELATIONSHIPS, Authorities, comes_of_age_s
from gateway.auth.people.keys import derive_key
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.registry import TABLES, People, Profile
from gateway.auth.people.totp import Sealer, provisioning_uri
from gateway.auth.providers.linking import Links
from gateway.auth.store import links
from gateway.auth.store.database import Database
from gateway.auth.store.people import Account, Authority
from gateway.auth.tokens.ending import Why
from gateway.cli.common import config_option, json_option, print_json, settings_of
from gateway.cli.ending import recorder, tell
from gateway.cli.user_view import Ways, authority_json, authority_line, described, line
from gateway.config import Settings
from gateway.consents.draft import instant
from gateway.core.canon import Json
from gateway.core.values import Ref
from gateway.entropy import random_bytes
from gateway.errors import BadRequest
from gateway.house import new_id, now_ms
from gateway.ledger.keys import load_keys

T = TypeVar("T")

login_argument = click.argument("login", metavar="LOGIN")
password_option = click.option(
    "--password-file",
    type=click.File(encoding="utf-8"),
    help="Read the password from the first line of this file, - for standard input; else it is asked for.",
)


@dataclass(frozen=True, slots=True)
class Office:
    """What the commands work with."""

    people: People
    authorities: Authorities
    links: Links
    tell: Callable[[str, Why], Awaitable[None]]
    now_s: int


@click.group()
def user() -> None:
    """Add and change the people who can log in, and record for whom they act."""


@user.command()
@login_argument
@click.option("--name", required=True, metavar="NAME", help="What the person is called on pages.")
@click.option("--user", "reference", metavar="REFERENCE", help="Who they are, such as Patient/pat-a.")
@click.option("--role", metavar="ROLE", help="What they work as.")
@click.option("--organization", metavar="ID", help="The organisation they work for.")
@click.option("--no-password", is_flag=True, help="They log in at a provider alone.")
@password_option
@config_option
@json_option
def add(
    config: Path,
    as_json: bool,
    login: str,
    name: str,
    reference: str | None,
    role: str | None,
    organization: str | None,
    no_password: bool,
    password_file: Any,
) -> None:
    """Add a person, with a password of 12 characters or more."""
    if no_password and password_file is not None:
        raise click.UsageError("Give a password or --no-password, not both.")
    profile = Profile(login, name, _reference(reference), role, _organization(organization))
    settings = settings_of(config)
    password = None if no_password else _password(password_file)

    async def work(office: Office) -> tuple[Account, list[Authority]]:
        await office.people.add(profile, password, office.now_s)
        return await office.people.account(login)

    _show(settings, work, as_json)


@user.command(name="list")
@config_option
@json_option
def list_(config: Path, as_json: bool) -> None:
    """List everybody, by login name."""

    async def work(office: Office) -> tuple[list[tuple[Account, list[Authority]]], int]:
        return await office.people.accounts(), office.now_s

    found, now_s = in_office(settings_of(config), work)
    if as_json:
        listed: list[Json] = [described(*each, now_s) for each in found]
        print_json({"people": listed})
    else:
        click.echo("\n".join(line(account) for account, _ in found) if found else "There is nobody yet.")


@user.command()
@login_argument
@config_option
@json_option
def show(config: Path, as_json: bool, login: str) -> None:
    """Show a person, the authorities they have, and by what else they log in."""

    async def work(office: Office) -> tuple[Account, list[Authority], Ways, int]:
        ways = Ways(await office.links.of(login), await office.people.passkeys(login))
        return *await office.people.account(login), ways, office.now_s

    account, authorities, ways, now_s = in_office(settings_of(config), work)
    if as_json:
        print_json({**described(account, authorities, now_s), **ways.described})
    else:
        lines = [*(authority_line(a, now_s) for a in authorities), *ways.lines]
        click.echo("\n".join([line(account), *lines]))


@user.command()
@login_argument
@password_option
@config_option
@json_option
def passwd(config: Path, as_json: bool, login: str, password_file: Any) -> None:
    """Set a new password. Sessions of the person end."""
    settings = settings_of(config)
    in_office(settings, lambda office: office.people.account(login))  # before a password is typed in vain
    password = _password(password_file)
    _change(settings, as_json, login, lambda o: o.people.set_password(login, password, o.now_s))


@user.command()
@login_argument
@click.option("--off", is_flag=True, help="Take the second factor away.")
@config_option
@json_option
def totp(config: Path, as_json: bool, login: str, off: bool) -> None:
    """Give the person a new second factor, and print its secret for their authenticator app, this once."""
    settings = settings_of(config)
    if off:
        _change(settings, as_json, login, lambda o: o.people.drop_second_factor(login, o.now_s))
        return
    secret = in_office(settings, lambda o: o.people.new_second_factor(login, o.now_s))
    uri = provisioning_uri(secret, login, settings.issuer)
    if as_json:
        print_json({"login": login, "secret": secret, "uri": uri})
    else:
        click.echo(f"secret {secret}\n{uri}")


@user.command()
@login_argument
@config_option
@json_option
def disable(config: Path, as_json: bool, login: str) -> None:
    """Keep a person out from now on. Their sessions end, and what they granted with its tokens."""

    async def work(office: Office) -> None:
        person = await office.people.set_disabled(login, True, office.now_s)
        await office.tell(person.id, "user-disabled")

    _change(settings_of(config), as_json, login, work)


@user.command()
@login_argument
@config_option
@json_option
def enable(config: Path, as_json: bool, login: str) -> None:
    """Let a disabled person in again."""
    _change(settings_of(config), as_json, login, lambda o: o.people.set_disabled(login, False, o.now_s))


@user.command()
@login_argument
@click.option("--patient", required=True, metavar="ID", help="The patient's FHIR id.")
@click.option("--relationship", required=True, type=click.Choice(list(RELATIONSHIPS)), help="What they are.")
@click.option("--until", required=True, metavar="DATE", help="Last day or moment, included (RFC 3339).")
@click.option("--born", metavar="DATE", help="The patient's birth date: parents act until majority.")
@config_option
@json_option
def allow(
    config: Path, as_json: bool, login: str, patient: str, relationship: str, until: str, born: str | None
) -> None:
    """Record that a person may act for a patient, such as a parent for a child, until a date."""
    settings, until_s = settings_of(config), _until(until)
    of_age_s = None if born is None else comes_of_age_s(born, settings.auth.majority)

    async def work(office: Office) -> tuple[Authority, int]:
        made = await office.authorities.allow(
            login, patient, relationship, until_s, "operator", office.now_s, of_age_s
        )
        return made, office.now_s

    _print_authority(*in_office(settings, work), as_json)


@user.command()
@click.argument("authority", metavar="ID")
@config_option
@json_option
def disallow(config: Path, as_json: bool, authority: str) -> None:
    """End an authority now, and what was granted under it with its tokens; `user show` has its id."""

    async def work(office: Office) -> tuple[Authority, int]:
        ended = await office.authorities.end_authority(authority, office.now_s)
        await office.tell(ended.person, "authority-ended")
        return ended, office.now_s

    _print_authority(*in_office(settings_of(config), work), as_json)


def in_office(settings: Settings, work: Callable[[Office], Awaitable[T]]) -> T:
    """What `work` comes to on the database of people, which is made if there is none."""
    kek = load_keys(settings.ledger.keys).kek

    async def whole() -> T:
        database = Database(settings.ledger.store.with_name("auth.db"), (*TABLES, *links.TABLES))
        try:
            people = People(database, Passwords(), Sealer(derive_key(kek, "totp"), random_bytes), new_id)
            authorities = Authorities(database, new_id, recorder(settings), policy.digest_of(settings))
            told = partial(tell, settings, database)
            return await work(Office(people, authorities, Links(database), told, now_ms() // 1000))
        finally:
            database.close()

    return asyncio.run(whole())


def _change(
    settings: Settings, as_json: bool, login: str, change: Callable[[Office], Awaitable[object]]
) -> None:
    """Changes a person and shows what they are now."""

    async def work(office: Office) -> tuple[Account, list[Authority]]:
        await change(office)
        return await office.people.account(login)

    _show(settings, work, as_json)


def _show(
    settings: Settings, work: Callable[[Office], Awaitable[tuple[Account, list[Authority]]]], as_json: bool
) -> None:
    async def dated(office: Office) -> tuple[Account, list[Authority], int]:
        return *await work(office), office.now_s

    account, authorities, now_s = in_office(settings, dated)
    if as_json:
        print_json(described(account, authorities, now_s))
    else:
        click.echo("\n".join([line(account), *(authority_line(a, now_s) for a in authorities)]))


def _password(file: Any) -> str:
    if file is None:
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    try:
        line: str = file.readline()
    except UnicodeDecodeError as error:
        raise BadRequest("The password file is not text in UTF-8.") from error
    return line.rstrip("\r\n")


def _reference(text: str | None) -> Ref | None:
    if text is None:
        return None
    kind, _, ident = text.partition("/")
    try:
        return Ref(kind, ident)
    except ValueError as error:
        raise BadRequest("A person is a FHIR reference, such as Patient/pat-a.") from error


def _organization(text: str | None) -> Ref | None:
    return None if text is None else _reference("Organization/" + text.removeprefix("Organization/"))


def _until(text: str) -> int:
    try:
        return instant(text, last=True)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            "The end is a date such as 2027-01-01, or a date-time with its offset such as "
            "2027-01-01T12:00:00Z."
        ) from error


def _print_authority(authority: Authority, now_s: int, as_json: bool) -> None:
    if as_json:
        print_json(authority_json(authority, now_s))
    else:
        click.echo(authority_line(authority, now_s))
