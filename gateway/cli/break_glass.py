"""`consentry break-glass`: opened for one patient, listed, reviewed.

Opening asks for the code of the user's second factor at a prompt. The token that is printed needs no
consent, lasts four hours, and has to be answered for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from gateway.app.glass import policy_of
from gateway.auth.clients.registry import Clients
from gateway.auth.glass.breaking import Breaking, Wish
from gateway.auth.glass.past import cases
from gateway.auth.glass.reviewing import review as reviewed
from gateway.auth.glass.view import case_json, case_line, opened_json
from gateway.auth.people.factors import Factors
from gateway.auth.people.keys import derive_key
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.totp import Sealer
from gateway.auth.server import open_database
from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.cli.issue import base_of, upstream_of
from gateway.cli.press import Desk
from gateway.core.canon import Json
from gateway.core.consent.glass import KINDS, OUTCOMES, REASONS, Statement
from gateway.entropy import random_bytes
from gateway.house import OpenHouse, auth_database_of, new_id, new_secret, now_ms


@click.group("break-glass")
def break_glass() -> None:
    """Open one patient's records in an emergency, and answer for it."""


@break_glass.command("open")
@click.argument("login", metavar="LOGIN")
@click.option("--patient", required=True, metavar="ID", help="The patient's FHIR id.")
@click.option("--client", required=True, metavar="ID", help="The client that will use the token.")
@click.option("--reason", required=True, type=click.Choice([*REASONS]), help="Why, as a code.")
@click.option("--text", prompt="What happened", metavar="TEXT", help="In a sentence; asked for if not given.")
@click.option("--renews", type=int, metavar="ENTRY", help="The entry of the glass that lasts and is renewed.")
@click.option(
    "--code",
    prompt="Code of the second factor",
    hide_input=True,
    metavar="CODE",
    help="The code of LOGIN's second factor; asked for if it is not given.",
)
@click.option(
    "--jkt", "key", metavar="THUMBPRINT", help="Of the device's key, that the token be bound to it (DPoP)."
)
@click.option("--upstream", metavar="NAME", help="For which upstream, if there are several.")
@config_option
@json_option
def open_(config: Path, as_json: bool, upstream: str | None, **wished: Any) -> None:
    """Print a token for the records of one patient, for four hours. LOGIN is who will use it.

    It needs a second factor and a reason; the patient and the privacy officer are told, and it is reviewed.
    """
    statement = Statement(wished.pop("reason"), wished.pop("text"))

    async def work(breaking: Breaking, base: str) -> dict[str, Json]:
        return opened_json(await breaking.break_glass(Wish(**wished, statement=statement, base=base)))

    opened = _breaking(config, upstream, work)
    print_json(opened) if as_json else click.echo(opened["access_token"])


@break_glass.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those that were not reviewed.")
@config_option
@json_option
def list_(config: Path, as_json: bool, only_open: bool) -> None:
    """List the glasses that were broken, with their reviews."""

    async def work(house: OpenHouse) -> list[dict[str, Json]]:
        now_s = now_ms() // 1000
        found = cases(house.entries(KINDS, -1))
        return [case_json(case, now_s) for case in found if not (only_open and case.review is not None)]

    listed = in_house(settings_of(config), work)
    if as_json:
        print_json({"broken": [*listed]})
    else:
        click.echo("\n".join(map(case_line, listed)) if listed else "No glass was broken.")


@break_glass.command()
@click.argument("entry", type=int, metavar="ENTRY")
@click.option("--reviewer", required=True, metavar="WHO", help="Who reviewed it: a login name or Type/id.")
@click.option("--outcome", required=True, type=click.Choice(OUTCOMES), help="What they found.")
@config_option
@json_option
def review(config: Path, as_json: bool, entry: int, reviewer: str, outcome: str) -> None:
    """Record what a review of a broken glass found. The reads are counted in the ledger."""

    settings = settings_of(config)

    async def work(house: OpenHouse) -> dict[str, Json]:
        database = open_database(auth_database_of(settings))
        try:
            desk = Desk(house, {}, database)
            index, digest = await reviewed(desk, house.entries, entry, reviewer, outcome)
        finally:
            database.close()
        return {"entry": index, "hash": digest}

    done = in_house(settings, work)
    print_json(done) if as_json else click.echo(f"ledger entry {done['entry']}, hash {done['hash']}")


def _breaking(
    config: Path, upstream: str | None, work: Callable[[Breaking, str], Awaitable[dict[str, Json]]]
) -> dict[str, Json]:
    settings = settings_of(config)

    async def whole(house: OpenHouse) -> dict[str, Json]:
        base = base_of(house, upstream_of(house, upstream))
        database = open_database(auth_database_of(settings))
        try:
            desk, kek = Desk(house, {base.url: base}, database), house.keys.kek
            factors = Factors(
                database,
                Passwords(),
                Sealer(derive_key(kek, "totp"), random_bytes),
                key=derive_key(kek, "attempts"),
                new_id=new_id,
                new_secret=new_secret,
            )
            policy = policy_of(settings.break_glass)
            return await work(Breaking(desk, Clients(database), factors, house.entries, policy), base.url)
        finally:
            database.close()

    return in_house(settings, whole)
