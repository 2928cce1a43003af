"""`consentry demo`: a whole gateway on synthetic patients, with three lines to try; nothing stays behind.

A record server, the gateway in front of it and its ledger run in this process until Ctrl-C, or until the
terminal is closed. `--check` tries the three lines by itself and ends. The patients are those of
`fixtures/people`, so it runs from a checkout.
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from starlette.types import ASGIApp

from gateway.app import application
from gateway.cli.common import settings_of
from gateway.cli.issue import Wish, issue
from gateway.cli.keys import init_all
from gateway.cli.logs import log_as_json
from gateway.cli.running import first_of, listen, port_of, runner, serving, stop_signals, writing_house
from gateway.cli.steps import Steps, tried, verified
from gateway.consents.draft import Draft
from gateway.errors import ConfigError
from gateway.house import OpenHouse, now_ms
from gateway.ledger.durable import write_new
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.load import texts

HOST: Final = "127.0.0.1"
PORT: Final = 8080
PEOPLE: Final = Path(__file__).parents[2] / "fixtures" / "people"
PATIENT, CLIENT, SCOPE, PURPOSE = "pat-a", "app-1", "patient/*.rs", "TREAT"
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
    with _folder(folder) as place, _front(port) as front, listen(HOST, 0) as back:
        config = _configure(place, port_of(front), port_of(back))
        with runner() as loop:
            loop.run(_run(config, sandbox, front, back, shown, check=check))


async def _run(
    config: Path, sandbox: ASGIApp, front: socket.socket, back: socket.socket, shown: _Shown, *, check: bool
) -> None:
    with stop_signals() as stop:
        async with serving(sandbox, back), writing_house(settings_of(config)) as house:
            steps = await _prepare(house, config)
            async with serving(application(house), front):
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


async def _prepare(house: OpenHouse, config: Path) -> Steps:
    """A consent, and a token that rests on it."""
    consent = await house.service.grant(
        Draft(PATIENT, (f"client:{CLIENT}",), scopes=(SCOPE,), purposes=(PURPOSE,))
    )
    house.consents.at_head()
    issued = await issue(house, Wish(CLIENT, (SCOPE,), PATIENT, (consent.id,)))
    write_new(config.with_name("token"), issued.text.encode(), 0o600)
    return Steps(
        public_url=house.settings.server.public_url,
        upstream_url=house.settings.upstreams[0].base_url,
        client=CLIENT,
        patient=PATIENT,
        consent_id=consent.id,
        token=issued.text,
        operator_secret=house.keys.operator_secret,
        config=config,
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
