"""`consentry demo`: a whole gateway on synthetic patients, with three lines to try; nothing stays behind.

A record server, the gateway in front of it, its ledger, and an app that asks a patient for access run in
this process until Ctrl-C, or until the terminal is closed. `--check` tries the three lines by itself and
ends. The patients are those of `fixtures/people`, so it runs from a checkout.
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from starlette.types import ASGIApp

from gateway.app import application
from gateway.auth.approval.manage import MANAGE
from gateway.auth.clients import registry as clients
from gateway.auth.people import registry as people
from gateway.auth.people.keys import derive_key
from gateway.auth.people.passwords import Passwords
from gateway.auth.people.totp import Sealer
from gateway.auth.store.database import Database
from gateway.cli.common import settings_of
from gateway.cli.issue import Wish, issue
from gateway.cli.keys import init_all
from gateway.cli.logs import log_as_json
from gateway.cli.running import first_of, listen, port_of, runner, serving, stop_signals, writing_house
from gateway.cli.steps import Steps, tried, verified
from gateway.consents.draft import Draft
from gateway.core.smart.client import Client
from gateway.core.values import Ref
from gateway.entropy import random_bytes
from gateway.errors import ConfigError
from gateway.house import OpenHouse, auth_database_of, new_id, now_ms
from gateway.ledger.durable import write_new
from gateway.sandbox import diary
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.load import texts

HOST: Final = "127.0.0.1"
PORT: Final = 8080
PEOPLE: Final = Path(__file__).parents[2] / "fixtures" / "people"
PATIENT, CLIENT, SCOPE, PURPOSE = "pat-a", "app-1", "patient/*.rs", "TREAT"
LOGIN, PERSON, APP = "ann", "Ann Almquist", "diary"
CONFIG: Final = """\
[server]
host = "{host}"
port = {port}
public_url = "http://{host}:{port}"

[ledger]
origin = "demo.example/consentry"

[[upstreams]]
name = "main"
path = "/fhir"
base_url = "http://{host}:{upstream_port}/fhir"
fhir_version = "R4"
"""
_Shown = Callable[[Steps, bool], Coroutine[object, object, None]]


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep keys, ledger and settings in this folder, which is new or empty.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="TCP port of the gateway; 0 is a free one.  [default: 8080, or a free one if that is taken]",
)
@click.option("--check", is_flag=True, help="Try the three lines, print what came back, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one line of JSON, for programs.")
def demo(folder: Path | None, port: int | None, check: bool, as_json: bool) -> None:
    """Start everything with synthetic patients, and print what to try.

    Ctrl-C, SIGTERM or closing the terminal ends it.
    """
    shown = _shown_as_json if as_json else _shown_as_text
    sandbox = _sandbox()
    log_as_json("warning")
    with _folder(folder) as place, _front(port) as front, listen(HOST, 0) as back, listen(HOST, 0) as app:
        config = _configure(place, port_of(front), port_of(back))
        with runner() as loop:
            loop.run(_run(config, sandbox, _Sockets(front, back, app), shown, check=check))


@dataclass(frozen=True, slots=True)
class _Sockets:
    """What gateway, record server and app listen on."""

    front: socket.socket
    back: socket.socket
    app: socket.socket


async def _run(config: Path, sandbox: ASGIApp, on: _Sockets, shown: _Shown, *, check: bool) -> None:
    with stop_signals() as stop:
        async with serving(sandbox, on.back), writing_house(settings_of(config)) as house:
            steps = await _prepare(house, config, f"http://{HOST}:{port_of(on.app)}")
            async with serving(application(house), on.front), serving(_diary(house, steps), on.app):
                await first_of(stop.wait(), shown(steps, check))
                if not check:
                    await stop.wait()


async def _shown_as_text(steps: Steps, check: bool) -> None:
    click.echo(steps.text())
    if not check:
        click.echo("Ctrl-C ends it.")
        return
    async for step in tried(steps):
        click.echo(step.text())
    click.echo(await verified(steps), nl=False)


async def _shown_as_json(steps: Steps, check: bool) -> None:
    said = steps.described()
    if check:
        said["tried"] = [step.described() async for step in tried(steps)]
        said["verified"] = json.loads(await verified(steps, "--json"))
    click.echo(json.dumps(said))


async def _prepare(house: OpenHouse, config: Path, app_url: str) -> Steps:
    """A consent, and a token that rests on it; a patient who can log in, and an app that asks."""
    consent = await house.service.grant(
        Draft(PATIENT, (f"client:{CLIENT}",), scopes=(SCOPE,), purposes=(PURPOSE,))
    )
    house.consents.at_head()
    issued = await issue(house, Wish(CLIENT, (SCOPE,), PATIENT, (consent.id,)))
    write_new(config.with_name("token"), issued.text.encode(), 0o600)
    password = f"demo-{new_id()[:12]}"
    await _enrol(house, app_url, password)
    return Steps(
        public_url=house.settings.server.public_url,
        upstream_url=house.settings.upstreams[0].base_url,
        client=CLIENT,
        patient=PATIENT,
        consent_id=consent.id,
        token=issued.text,
        operator_secret=house.keys.operator_secret,
        app_url=app_url,
        login=LOGIN,
        password=password,
        config=config,
    )


async def _enrol(house: OpenHouse, app_url: str, password: str) -> None:
    """The patient as a person who can log in, and the app as a client."""
    app = Client(
        APP,
        diary.NAME,
        "none",
        redirect_uris=(app_url + diary.CALLBACK,),
        grant_types=("authorization_code", "refresh_token"),
        scopes=diary.SCOPES,
        client_uri=app_url,
    )
    database = Database(auth_database_of(house.settings), (*clients.TABLES, *people.TABLES))
    try:
        now_s, sealer = now_ms() // 1000, Sealer(derive_key(house.keys.kek, "totp"), random_bytes)
        persons = people.People(database, Passwords(), sealer, new_id)
        await persons.add(people.Profile(LOGIN, PERSON, Ref("Patient", PATIENT)), password, now_s)
        await clients.Clients(database).add(app, "operator", clients.Secrets(), now_s)
    finally:
        database.close()


def _diary(house: OpenHouse, steps: Steps) -> ASGIApp:
    [upstream] = house.settings.upstreams
    return diary.diary_app(
        fhir=house.settings.audience(upstream),
        manage=house.settings.issuer + MANAGE,
        url=steps.app_url,
        client=APP,
    )


def _sandbox() -> ASGIApp:
    if not PEOPLE.is_dir():
        raise ConfigError(
            "The demo's patients (fixtures/people) are not in an installed package; "
            "get the sources and run `make demo` there."
        )
    return sandbox_app(now=lambda: datetime.fromtimestamp(now_ms() // 1000, UTC), data=texts([PEOPLE]))


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="consentry-demo-") as name:
            yield Path(name)
        return
    kept.mkdir(parents=True, exist_ok=True)
    if any(kept.iterdir()):
        raise ConfigError(f"{kept} is not empty; choose a new folder for the demo.")
    yield kept.absolute()


def _front(port: int | None) -> socket.socket:
    if port is not None:
        return listen(HOST, port)
    try:
        return listen(HOST, PORT)
    except ConfigError:
        return listen(HOST, 0)


def _configure(folder: Path, port: int, upstream_port: int) -> Path:
    """Settings, keys and the empty ledger in `folder`; the path of the settings."""
    config = folder / "consentry.toml"
    config.write_text(CONFIG.format(host=HOST, port=port, upstream_port=upstream_port), "utf-8")
    init_all(settings_of(config))
    return config
