"""`consentry check-config`: everything that is wrong with the settings, at once, and what they come to.

Files that the settings name are read. Nothing is written, and no other machine is asked unless `--online`
says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

import click

from gateway import mapping, policy
from gateway.auth.providers.metadata import read_metadata, well_known
from gateway.cli.announced import not_announced
from gateway.cli.common import WRONG, config_option, json_option, print_json, settings_of
from gateway.cli.tls import authorities_of, context_of
from gateway.config import LoginProvider, Settings, Upstream
from gateway.core.canon import Json
from gateway.core.fhir.catalogue import Release
from gateway.errors import ConfigError
from gateway.house import roles_not_for_studies
from gateway.ledger.keys import load_keys
from gateway.tokens.fetch import FetchFailed, HttpxFetch
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.signer import read_signer

MAX_METADATA_BYTES = 16 * 1024 * 1024


@click.command("check-config")
@config_option
@json_option
@click.option("--online", is_flag=True, help="Ask the upstreams and the issuers' key addresses too.")
def check_config(config: Path, as_json: bool, online: bool) -> None:
    """Check the settings; list all problems at once."""
    try:
        settings = settings_of(config)
    except ConfigError as error:
        first, *listed = error.text.splitlines()
        _refuse(listed or [first], error.text, as_json)
    problems = [*_files(settings)]
    if online:
        problems += asyncio.run(_addresses(settings))
    if problems:
        lines = [f"{config}: {len(problems)} problem{'s' * (len(problems) > 1)}"]
        _refuse(problems, "\n".join(lines + [f"{config}: {problem}" for problem in problems]), as_json)
    if as_json:
        print_json({"ok": True, "problems": [], "policy": policy.digest_of(settings)})
    else:
        click.echo("\n".join([f"ok: {config}", *_summary(settings)]))


def _refuse(problems: list[str], text: str, as_json: bool) -> NoReturn:
    """Ends the command, with the problems as `text` or as JSON."""
    if as_json:
        listed: list[Json] = [*problems]
        print_json({"ok": False, "problems": listed})
    else:
        click.echo(text, err=True)
    click.get_current_context().exit(WRONG)


def _files(settings: Settings) -> Iterator[str]:
    for release in sorted({upstream.fhir_version for upstream in settings.upstreams}):
        try:
            mapping.load_catalogue(cast("Release", release))
            mapping.load_outlines(cast("Release", release))
        except ConfigError as error:
            yield error.text
    try:
        yield from roles_not_for_studies(settings)
    except ConfigError as error:
        yield from error.text.splitlines()
    for load in (mapping.load_label_tables, mapping.load_interactions):
        try:
            load()
        except ConfigError as error:
            yield from error.text.splitlines()
    for issuer in settings.issuers:
        if isinstance(issuer.jwks, Path):
            try:
                _check_keys(issuer.jwks.read_bytes())
            except (OSError, ValueError) as error:
                yield f"issuers: the key set {issuer.jwks} cannot be used: {error}"
    for provider in settings.login_providers:
        if provider.client_key is not None:
            try:
                read_signer(provider.client_key)
            except (OSError, ValueError) as error:
                yield f"login_providers: the key {provider.client_key} cannot be used: {error}"
    for usable in (context_of, authorities_of):
        try:
            usable(settings.tls)
        except ConfigError as error:
            yield error.text
    if settings.ledger.keys.is_dir():
        try:
            if load_keys(settings.ledger.keys).origin != settings.ledger.origin:
                yield "ledger.origin: the keys are those of another ledger"
        except ConfigError as error:
            yield f"ledger.keys: {error.text}"


async def _addresses(settings: Settings) -> list[str]:
    fetch, problems = HttpxFetch(max_bytes=MAX_METADATA_BYTES), []
    for upstream in settings.upstreams:
        problems += await _upstream(fetch, upstream)
    for issuer in settings.issuers:
        if isinstance(issuer.jwks, str):
            try:
                _check_keys(await _fetched(fetch, issuer.jwks))
            except (FetchFailed, ValueError) as error:
                problems.append(f"issuers: no key set at {issuer.jwks}: {error}")
    for provider in settings.login_providers:
        problems += await _provider(fetch, provider)
    return problems


async def _provider(fetch: HttpxFetch, provider: LoginProvider) -> list[str]:
    method = "private_key_jwt" if provider.client_secret is None else "client_secret_basic"
    try:
        found = await _fetched(fetch, well_known(provider.issuer))
        _check_keys(await _fetched(fetch, read_metadata(found, provider.issuer, method).jwks_uri))
    except (FetchFailed, ValueError) as error:
        return [f"login_providers: {provider.name} cannot be used at {provider.issuer}: {error}"]
    return []


async def _upstream(fetch: HttpxFetch, upstream: Upstream) -> list[str]:
    catalogue = mapping.load_catalogue(cast("Release", upstream.fhir_version))
    try:
        statement = await _fetched(fetch, f"{upstream.base_url}/metadata")
    except (FetchFailed, ValueError) as error:
        return [f"upstreams: {upstream.name} does not answer at {upstream.base_url}: {error}"]
    try:
        lacking = not_announced(catalogue, statement)
    except ValueError as error:
        return [f"upstreams: {upstream.name} does not say what it can do at {upstream.base_url}: {error}"]
    return [
        f"upstreams: {upstream.name} does not announce the search parameter {name} of {', '.join(types)}, "
        "which narrows a search to the patients it may be about; have the upstream index and announce it, "
        "or permit no search of these types"
        for name, types in lacking.items()
    ]


async def _fetched(fetch: HttpxFetch, url: str) -> bytes:
    """Raises FetchFailed, or ValueError for an answer with another status than 200."""
    answer = await fetch(url)
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    return answer.body


def _check_keys(data: bytes) -> None:
    if not parse_jwks(data):
        raise ValueError("it has no key that can verify a token")


def _summary(settings: Settings) -> Iterator[str]:
    server, ledger = settings.server, settings.ledger
    transport = "HTTP" if settings.tls.certificate is None else "TLS"
    yield f"listens on {server.host}:{server.port} ({transport}), known as {server.public_url}"
    for upstream in settings.upstreams:
        yield f"upstream {upstream.name} ({upstream.fhir_version}): {upstream.path} -> {upstream.base_url}"
    for issuer in settings.issuers:
        yield f"issuer {issuer.issuer}: keys {issuer.jwks}, binding {issuer.binding}"
    for provider in settings.login_providers:
        yield f"log-in at {provider.title}: {provider.issuer}"
    if not settings.auth.local_log_in:
        yield "no log-in with a password here"
    made = "" if ledger.keys.is_dir() else " (not made yet: run `consentry keys init`)"
    yield f"ledger {ledger.origin}: {ledger.store}, keys {ledger.keys}{made}"
    yield f"policy {policy.digest_of(settings)}"
