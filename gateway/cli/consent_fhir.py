"""`consentry consent import`, `export` and `sync`: consents as FHIR, by the intake of the operator API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar, cast

import click

from gateway.app import transport_to
from gateway.auth.server import open_database
from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.config import Settings
from gateway.config import Upstream as UpstreamSettings
from gateway.consents.intake import ConsentIntake, Taken
from gateway.consents.sync import Source, Synced, Synchroniser
from gateway.consents.view import ref_json
from gateway.core.canon import Json
from gateway.core.consent.rule import Consent
from gateway.core.fhir.catalogue import VERSIONS, Release
from gateway.errors import BadRequest
from gateway.house import OpenHouse, auth_database_of, intake_of, new_id, now_ms, usual_release

T = TypeVar("T")
Work = Callable[[OpenHouse, ConsentIntake], Awaitable[T]]

release_option = click.option(
    "--fhir-version",
    "release",
    type=click.Choice(list(VERSIONS)),
    help="The release of FHIR; by default that of the upstreams.",
)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@release_option
@click.option(
    "--supersedes", multiple=True, metavar="ID", help="A consent that it puts out of force; repeatable."
)
@config_option
@json_option
def take(
    config: Path, as_json: bool, file: IO[bytes], release: Release | None, supersedes: tuple[str, ...]
) -> None:
    """Record the FHIR Consent in FILE (-: standard input) and print its reference and what to know of it."""
    settings, raw = settings_of(config), file.read()
    meant = release_meant(settings, release)
    taken: Taken = _with_intake(settings, lambda _, intake: intake.grant(raw, meant, supersedes))
    warnings: list[Json] = [*map(str, taken.warnings)]
    if as_json:
        print_json({**ref_json(taken.ref), "warnings": warnings})
        return
    click.echo(f"{taken.ref.id}\nledger entry {taken.ref.entry}, hash {taken.ref.hash}")
    for warning in warnings:
        click.echo(f"warning: {warning}")


@click.command()
@click.argument("consent_id", metavar="ID")
@release_option
@config_option
@json_option
def export(config: Path, as_json: bool, consent_id: str, release: Release | None) -> None:
    """Print a consent as a FHIR Consent, or say what of it does not fit one. It is JSON in any case."""
    settings = settings_of(config)
    meant = release_meant(settings, release)

    async def work(_: OpenHouse, intake: ConsentIntake) -> dict[str, Json]:
        return intake.show(consent_id, meant)

    print_json(_with_intake(settings, work))


@click.command()
@click.argument("upstream", metavar="UPSTREAM")
@click.option("--patient", metavar="ID", help="The Consents of this patient alone.")
@click.option("--may-be-none", is_flag=True, help="If none is there any more, withdraw all that were.")
@config_option
@json_option
def sync(config: Path, as_json: bool, upstream: str, patient: str | None, may_be_none: bool) -> None:
    """Follow the Consents of an upstream: grant new ones, change what changed, withdraw what ended."""
    settings = settings_of(config)
    chosen = _upstream(settings, upstream)

    async def work(house: OpenHouse, intake: ConsentIntake) -> list[Synced]:
        def why_ended(consent: Consent) -> str | None:
            reason = house.reader.facts(consent.ended.entry).facts.get("rsn") if consent.ended else None
            return reason if isinstance(reason, str) else None

        synchroniser = Synchroniser(house.service, intake, why_ended, house.consents.at_head, new_id)
        async with transport_to(chosen) as transport:
            source = Source(
                chosen.name, chosen.base_url, cast("Release", chosen.fhir_version), transport.fetch
            )
            run = synchroniser.run(source, patient, now_ms() // 1000, may_be_none=may_be_none)
            return [done async for done in run]

    found = _with_intake(settings, work)
    if as_json:
        print_json({"consents": [_json(each) for each in found]})
    else:
        click.echo("\n".join(map(_line, found)) or "There are no Consents.")


def _with_intake(settings: Settings, work: Work[T]) -> T:
    with opened_intake(settings) as made:
        return in_house(settings, lambda house: work(house, made(house)))


@contextmanager
def opened_intake(settings: Settings) -> Iterator[Callable[[OpenHouse], ConsentIntake]]:
    """An intake over the authorization server's own records of who may agree for whom."""
    database = open_database(auth_database_of(settings))
    try:
        yield lambda house: intake_of(settings, house.service, database)
    finally:
        database.close()


def release_meant(settings: Settings, release: Release | None) -> Release:
    meant = release or usual_release(settings)
    if meant is None:
        raise BadRequest("The upstreams have several releases of FHIR; say which one with --fhir-version.")
    return meant


def _upstream(settings: Settings, name: str) -> UpstreamSettings:
    for upstream in settings.upstreams:
        if upstream.name == name:
            return upstream
    known = ", ".join(upstream.name for upstream in settings.upstreams)
    raise BadRequest(f"There is no upstream {name!r}; there is {known}.")


def _json(synced: Synced) -> dict[str, Json]:
    return {
        "source": f"Consent/{synced.source}" if synced.source else None,
        "change": synced.change.value,
        "consent": synced.consent,
        "why": [*synced.why],
    }


def _line(synced: Synced) -> str:
    source = f"Consent/{synced.source}" if synced.source else "-"
    named = "" if synced.consent is None else f" {synced.consent}"
    return f"{source}: {synced.change}{named}" + "".join(f"\n  {why}" for why in synced.why)
