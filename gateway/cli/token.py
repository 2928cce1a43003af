"""`consentry token`: prints an access token of the gateway's own issuer, after its entry is durable."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.auth.tokens.issuing import Issued
from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.cli.issue import Wish, issue
from gateway.consents.view import ref_json
from gateway.core.canon import Json


@click.command()
@click.option("--client", required=True, metavar="ID", help="The client that will use it.")
@click.option("--patient", metavar="ID", help="The patient in context; patient/ scopes are about this one.")
@click.option("--scope", "scopes", multiple=True, required=True, metavar="SCOPE", help="Repeatable.")
@click.option("--consent", "consents", multiple=True, metavar="ID", help="What it rests on; repeatable.")
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    metavar="CODE",
    help="Default: the purposes of the consents, or TREAT; repeatable.",
)
@click.option("--user", metavar="REFERENCE", help="Who uses the client, such as Practitioner/prac-1.")
@click.option("--organization", metavar="ID", help="The organisation they work for.")
@click.option("--role", metavar="ROLE", help="In which role.")
@click.option("--case", metavar="REFERENCE", help="The case it is limited to in that role, such as Claim/7.")
@click.option("--lifetime", "lifetime_s", type=int, default=3600, show_default=True, metavar="SECONDS")
@click.option("--upstream", metavar="NAME", help="For which upstream, if there are several.")
@click.option("--lookup", is_flag=True, help="Name no consent: the live ones of client and user count.")
@config_option
@json_option
def token(config: Path, as_json: bool, **wished: object) -> None:
    """Print an access token of the gateway's own issuer.

    Without --consent only a patient gets one, for their own records (--user Patient/ID --patient ID),
    unless --lookup is given.
    """
    wish = Wish(**wished)  # type: ignore[arg-type]  # the options are the fields
    issued = in_house(settings_of(config), lambda house: issue(house, wish))
    print_json(_described(issued)) if as_json else click.echo(issued.text)


def _described(issued: Issued) -> dict[str, Json]:
    token = issued.token
    consents: list[Json] = [ref_json(ref) for ref in token.consents or ()]
    purposes: list[Json] = [*token.purposes]
    return {
        "access_token": issued.text,
        "token_type": "Bearer",
        "expires_in": token.expires_at_s - token.issued_at_s,
        "scope": " ".join(scope.text for scope in token.scopes),
        "patient": token.patient,
        "purpose_of_use": purposes,
        "consent": consents,
        "entry": issued.entry,
        "hash": issued.hash,
    }
