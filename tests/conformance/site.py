"""The whole gateway in front of the sandbox, at the address it calls its own, over HTTP or over TLS.

It is the application of `consentry serve` under uvicorn; its folder, people and clients are made by the
commands an operator has. For TLS uvicorn is given a certificate here.
"""

from __future__ import annotations

import datetime
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any, Final
from unittest.mock import patch

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import app, house
from gateway.config import Settings, load
from gateway.house import OpenHouse, open_house
from gateway.web.protocol import StrictHttpToolsProtocol
from tests.cli.support import Place
from tests.conformance.apps import App, apps
from tests.conformance.certificates import authority_and_site
from tests.support.gateway import Clock
from tests.support.ports import bound_socket

PASSWORD: Final = "correct horse battery"
PEOPLE: Final = {
    "anna": ("Anna Ek", "Patient/pat-a"),
    "gp": ("Dr Gren", "Practitioner/prac-gp"),
    "psy": ("Dr Psi", "Practitioner/prac-psy"),
}
CONFIG: Final = """\
[server]
port = {port}
public_url = "{url}"
log_level = "warning"

[ledger]
origin = "hospital.example/consentry"

[[upstreams]]
name = "main"
path = "/fhir"
base_url = "{upstream}"
fhir_version = "R4"
"""


@dataclass(frozen=True)
class Site:
    """`url` and `base` have no closing slash; `secret` is the operator's; `tls` trusts the site's authority.

    The gateway's `clock` may be put forward, at any time and for good: everything here goes by it.
    """

    url: str
    place: Place
    apps: Mapping[str, App]
    secret: str = field(repr=False)
    clock: Clock
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def base(self) -> str:
        return f"{self.url}/fhir"

    @property
    def now_s(self) -> int:
        return self.clock() // 1000

    def client(self, **options: Any) -> httpx.Client:
        """One that follows no redirect."""
        verify: ssl.SSLContext | bool = True if self.tls is None else self.tls
        return httpx.Client(verify=verify, trust_env=False, timeout=60, **options)


@contextmanager
def site(
    folder: Path, upstream: str, *, tls: bool, key_server: str, more: str = "", host: str | None = None
) -> Iterator[Site]:
    """At the end its ledger is verified. `key_server` is where services publish their keys; `more` is further
    configuration; `host` is another name for this machine, by which browsers know the site."""
    with bound_socket() as listener:
        port = listener.getsockname()[1]
        url = f"https://{host or 'localhost'}:{port}" if tls else f"http://127.0.0.1:{port}"
        place = Place(folder, port)
        place.config.write_text(CONFIG.format(port=port, url=url, upstream=upstream) + more)
        registered = _prepare(place, key_server)
        authority, own = authority_and_site(folder) if tls else (None, None)
        context = None if authority is None else ssl.create_default_context(cafile=authority)
        hosted, clock = _Hosted(load(place.config, {})), Clock()
        clocks = patch.object(app, "now_ms", clock), patch.object(house, "now_ms", clock)
        with clocks[0], clocks[1], _running(hosted, listener, own):
            yield Site(url, place, registered, hosted.house.keys.operator_secret, clock, context)
    place.good("ledger", "verify")


def _prepare(place: Place, key_server: str) -> dict[str, App]:
    """Keys, people and clients; and a patient who has consented to her doctor and to a service."""
    place.good("keys", "init")
    password = place.folder / "password"
    password.write_text(PASSWORD)
    for login, (name, user) in PEOPLE.items():
        place.good("user", "add", login, "--name", name, "--user", user, "--password-file", str(password))
    until = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(300)).date().isoformat()
    place.good("user", "allow", "anna", "--patient", "pat-b", "--relationship", "MTH", "--until", until)
    for who in ("practitioner:prac-gp", "client:service", "client:published"):
        place.good("consent", "grant", "--patient", "pat-a", "--grantee", who, "--scope", "patient/*.rs")
    return {each.id: _registered(place, each) for each in apps(key_server)}


def _registered(place: Place, made: App) -> App:
    metadata = place.folder / f"{made.id}.json"
    metadata.write_text(json.dumps(made.metadata))
    told = place.json("client", "add", made.id, "--metadata", str(metadata))
    return made.given(told.get("client_secret"))


@contextmanager
def _running(hosted: ASGIApp, listener: socket, certificate: Path | None) -> Iterator[None]:
    config = uvicorn.Config(
        hosted, http=StrictHttpToolsProtocol, log_config=None, lifespan="on", server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=5, ssl_certfile=certificate,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the application did not start"
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Hosted:
    """The application, whose house is opened in the event loop that serves it."""

    house: OpenHouse

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._application: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        async with open_house(self._settings) as self.house:
            self._application = app.application(self.house)
            await self._application(scope, receive, send)
