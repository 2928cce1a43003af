"""`consentry consent preview` and `compare`: what consents show and hide, before they count; and `consentry
simulate`: which rule decides a request. A preview reads the patient's records, so it has an entry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO, Any

import click

from gateway.app import ports_of, transport_to
from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.cli.consent import EVERYTHING, terms
from gateway.cli.consent_fhir import opened_intake, release_meant, release_option
from gateway.cli.issue import upstream_of
from gateway.cli.preview_view import preview_lines, simulation_lines
from gateway.consents.draft import Draft
from gateway.core.canon import Json
from gateway.core.consent.rule import Effect
from gateway.core.fhir.catalogue import Release
from gateway.house import OpenHouse
from gateway.ports import Ports
from gateway.preview import comparison, drafted, read_from
from gateway.preview import preview as previewed
from gateway.simulate import Supposed
from gateway.simulate import simulate as simulated
from gateway.tokens.fetch import HttpxFetch

viewer_option = click.option(
    "--as",
    "named",
    multiple=True,
    metavar="WHO[,WHO]",
    help="Who looks, such as practitioner:prac-1,organization:org-1; repeatable. Default: all who are named.",
)
upstream_option = click.option("--upstream", metavar="NAME", help="Which upstream, if there are several.")


@click.command()
@click.option(
    "--fhir",
    type=click.File("rb"),
    metavar="FILE",
    help="The FHIR Consent in FILE (-: standard input), in place of options that say what it says.",
)
@release_option
@click.option("--patient", metavar="ID", help="The patient's FHIR id.")
@click.option("--change", "changed", metavar="ID", help="The consent that this would become.")
@terms
@click.option("--deny", is_flag=True, help="Forbid instead of permit; without --scope, everything.")
@viewer_option
@upstream_option
@config_option
@json_option
def preview(
    config: Path,
    as_json: bool,
    fhir: IO[bytes] | None,
    release: Release | None,
    patient: str | None,
    changed: str | None,
    deny: bool,
    named: tuple[str, ...],
    upstream: str | None,
    **given: Any,
) -> None:
    """Show what a consent would show and hide of the patient's records, to whom, and why.

    Nothing is granted. The records are read, so the preview has an entry of its own in the ledger.
    """
    raw = None if fhir is None else fhir.read()
    _one_consent(raw is not None, patient, changed, release, deny, given)
    given["scopes"] = given["scopes"] or ((EVERYTHING,) if deny else ())

    async def of_options(house: OpenHouse, ports: Ports) -> dict[str, Json]:
        whose = patient if changed is None else house.service.show(changed).patient
        draft = Draft(whose or "", effect=Effect.DENY if deny else Effect.PERMIT, **given)
        question = drafted(house.service, ports.house.membership, draft, changed, _viewers(named))
        return await previewed(ports, house.settings.issuer, question)

    if raw is None:
        _print(config, upstream, of_options, preview_lines, as_json)
        return
    settings = settings_of(config)
    meant = release_meant(settings, release)
    with opened_intake(settings) as intake:

        async def of_fhir(house: OpenHouse, ports: Ports) -> dict[str, Json]:
            found = await intake(house).draft(raw, meant, changed, given["supersedes"])
            question = read_from(house.service, ports.house.membership, found, changed, _viewers(named))
            return await previewed(ports, house.settings.issuer, question)

        _print(config, upstream, of_fhir, preview_lines, as_json)


def _one_consent(
    is_fhir: bool,
    patient: str | None,
    changed: str | None,
    release: Release | None,
    deny: bool,
    given: Mapping[str, Any],
) -> None:
    """Raises UsageError if options speak of no consent, or of two."""
    context = click.get_current_context()
    said = patient is not None or deny or any(given[name] for name in given.keys() - {"supersedes"})
    if is_fhir and said:
        raise click.UsageError("With --fhir, the Consent says whose it is and what is permitted", context)
    if not is_fhir and release is not None:
        raise click.UsageError("--fhir-version goes with --fhir", context)
    if not is_fhir and (patient is None) == (changed is None):
        raise click.UsageError("Name either --patient or --change, or --fhir", context)


@click.command()
@click.argument("first", metavar="ID")
@click.argument("second", metavar="ID")
@viewer_option
@upstream_option
@config_option
@json_option
def compare(
    config: Path, as_json: bool, first: str, second: str, named: tuple[str, ...], upstream: str | None
) -> None:
    """Show what one consent alone shows and hides, and what another in its place would change."""

    async def work(house: OpenHouse, ports: Ports) -> dict[str, Json]:
        question = comparison(house.service, ports.house.membership, first, second, _viewers(named))
        return await previewed(ports, house.settings.issuer, question)

    _print(config, upstream, work, preview_lines, as_json)


@click.command()
@click.argument("target", metavar="REQUEST")
@click.option("--token", required=True, type=click.File(), help="The access token, a file; - is the input.")
@click.option("--record", type=click.File("rb"), help="A resource that the upstream might answer with.")
@upstream_option
@config_option
@json_option
def simulate(
    config: Path,
    as_json: bool,
    target: str,
    token: IO[str],
    record: IO[bytes] | None,
    upstream: str | None,
) -> None:
    """Tell what becomes of a request such as 'Observation?code=1234-5', and which rule decides it.

    The upstream is not asked, and nothing is recorded.
    """
    path, _, query = target.partition("?")
    supposed = Supposed(
        f"/{path.removeprefix('/')}".encode(),
        query.encode(),
        token.read().strip(),
        None if record is None else record.read(),
    )
    _print(config, upstream, lambda _, ports: simulated(ports, supposed), simulation_lines, as_json)


def _viewers(named: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [tuple(filter(None, each.split(","))) for each in named]


def _print(
    config: Path,
    upstream: str | None,
    work: Callable[[OpenHouse, Ports], Awaitable[dict[str, Json]]],
    lines: Callable[[dict[str, Json]], list[str]],
    as_json: bool,
) -> None:
    async def whole(house: OpenHouse) -> dict[str, Json]:
        chosen = upstream_of(house, upstream)
        async with transport_to(chosen) as transport:
            return await work(house, ports_of(house, chosen, transport, HttpxFetch(), {}))

    answer = in_house(settings_of(config), whole)
    print_json(answer) if as_json else click.echo("\n".join(lines(answer)))
