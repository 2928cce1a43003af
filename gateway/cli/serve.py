"""`consentry serve`: the gateway, in one process or several. It writes the ledger.

With several workers this process only writes the ledger, for them and for commands that are run beside
it; they answer the requests.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click
from starlette.types import ASGIApp

from gateway.app import application
from gateway.cli.common import config_option, settings_of
from gateway.cli.logs import log_as_json
from gateway.cli.running import (
    Http,
    bound,
    first_of,
    listen,
    port_of,
    runner,
    serving,
    stop_signals,
    writing_house,
)
from gateway.cli.tls import authorities_of, context_of
from gateway.cli.workers import clear_away, parent_gone, tell_ready, workers
from gateway.config import Settings
from gateway.house import OpenHouse, open_house


@dataclass(frozen=True, slots=True)
class Plan:
    """`worker` is the descriptor of the socket that a worker inherits, None in the process above."""

    config: Path
    settings: Settings
    http: Http
    workers: int
    as_json: bool
    worker: int | None = None


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 64), help="Server processes.  [default: server.workers]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="TCP port; 0 is a free one.  [default: server.port]"
)
@click.option(
    "--http",
    type=click.Choice(["httptools", "h11"]),
    envvar="CONSENTRY_HTTP",
    show_envvar=True,
    help="The HTTP parser.  [default: server.http]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the address as one line of JSON, for programs.")
@click.option("--worker", type=int, hidden=True)
def serve(
    config: Path, workers: int | None, port: int | None, http: str | None, as_json: bool, worker: int | None
) -> None:
    """Run the gateway until SIGTERM, Ctrl-C or the end of the terminal.

    When it prints its address, it answers. Its log is JSON lines on standard error.
    """
    settings = settings_of(config)
    log_as_json(settings.server.log_level)
    parser = cast("Http", http or settings.server.http)
    plan = Plan(config, settings, parser, workers or settings.server.workers, as_json, worker)
    with runner() as loop:
        if worker is not None:
            loop.run(_work(plan, socket.socket(fileno=worker)))
        else:
            with listen(settings.server.host, settings.server.port if port is None else port) as listener:
                loop.run(_serve(plan, listener))


async def _serve(plan: Plan, listener: socket.socket) -> None:
    with stop_signals() as stop:
        async with writing_house(bound(plan.settings, listener)) as house:
            if plan.workers == 1:
                up = serving(_application(house), listener, plan.http, context_of(plan.settings.tls))
            else:
                arguments = ["serve", "--config", str(plan.config), "--http", plan.http, "--worker"]
                up = workers(plan.workers, arguments, listener, stop)
            async with up:
                click.echo(_address(plan, port_of(listener)))
                await stop.wait()


async def _work(plan: Plan, listener: socket.socket) -> None:
    with stop_signals() as stop:
        async with (
            open_house(bound(plan.settings, listener)) as house,
            serving(_application(house), listener, plan.http, context_of(plan.settings.tls)),
        ):
            tell_ready()
            await first_of(stop.wait(), parent_gone())
            if not stop.is_set():
                clear_away()


def _application(house: OpenHouse) -> ASGIApp:
    return application(house, authorities_of(house.settings.tls))


def _address(plan: Plan, port: int) -> str:
    """The one line that says where it answers."""
    server, paths = plan.settings.server, [upstream.path for upstream in plan.settings.upstreams]
    host = f"[{server.host}]" if ":" in server.host else server.host
    url = f"{'http' if plan.settings.tls.certificate is None else 'https'}://{host}:{port}"
    if plan.as_json:
        return json.dumps({"url": url, "fhir": paths})
    return f"consentry: serving {url} (FHIR at {', '.join(paths)})"
