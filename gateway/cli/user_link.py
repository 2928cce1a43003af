"""`consentry user link` and its like: by what people log in beside a password, accounts at providers and
passkeys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from gateway.auth.store.links import Named
from gateway.cli.common import config_option, json_option, print_json, settings_of
from gateway.cli.user import Office, in_office, login_argument
from gateway.cli.user_view import Ways
from gateway.config import Settings
from gateway.errors import BadRequest

_PROVIDER = click.option("--provider", required=True, metavar="NAME", help="A provider of the configuration.")
_SUBJECT = click.option(
    "--subject", required=True, metavar="TEXT", help="What its claim says, `sub` unless configured otherwise."
)


def of_an_account(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments of a command about a person's account at a provider."""
    for option in (json_option, config_option, _SUBJECT, _PROVIDER, login_argument):
        command = option(command)
    return command


@click.command()
@of_an_account
def link(config: Path, as_json: bool, login: str, provider: str, subject: str) -> None:
    """Let a person log in with an account at a provider."""
    _at_provider(config, as_json, login, provider, subject, lambda office: office.links.link)


@click.command()
@of_an_account
def unlink(config: Path, as_json: bool, login: str, provider: str, subject: str) -> None:
    """Take that away again. Sessions of the person end."""
    _at_provider(config, as_json, login, provider, subject, lambda office: office.links.unlink)


@click.command("reset-passkeys")
@login_argument
@config_option
@json_option
def reset_passkeys(config: Path, as_json: bool, login: str) -> None:
    """Take all passkeys of a person away, so that the password lets them in. Sessions of the person end."""
    _change(
        settings_of(config), as_json, login, lambda office: office.people.drop_passkeys(login, office.now_s)
    )


def _at_provider(
    config: Path,
    as_json: bool,
    login: str,
    provider: str,
    subject: str,
    change_of: Callable[[Office], Callable[[str, Named, int], Awaitable[object]]],
) -> None:
    settings = settings_of(config)
    named = _named(settings, provider, subject)
    _change(settings, as_json, login, lambda office: change_of(office)(login, named, office.now_s))


def _named(settings: Settings, provider: str, subject: str) -> Named:
    found = next((each for each in settings.login_providers if each.name == provider), None)
    if found is None:
        raise BadRequest("There is no provider of this name among the login_providers of the configuration.")
    return Named(found.issuer, found.subject_claim, subject)


def _change(
    settings: Settings, as_json: bool, login: str, change: Callable[[Office], Awaitable[object]]
) -> None:
    """Makes a change and shows by what the person logs in now."""

    async def work(office: Office) -> Ways:
        await change(office)
        return Ways(await office.links.of(login), await office.people.passkeys(login))

    ways = in_office(settings, work)
    if as_json:
        print_json({"login": login, **ways.described})
    else:
        click.echo("\n".join([f"{login}:", *ways.lines] if ways.lines else [f"{login}: nothing"]))
