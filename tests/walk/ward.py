"""A ward where the glass can be broken: people with second factors, an app, and who takes the notices."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from pyotp import TOTP

from gateway.auth.people.registry import Profile
from gateway.cli.user import Office, in_office
from gateway.core.values import Ref
from tests.cli.support import Place
from tests.support.gateway import Clock, Gateway, gateway

APP = "ward-app"
EXTRA = """
[break_glass]
roles = ["clinician"]
review_within_days = 7
notify = "{url}"
{more}
"""


@dataclass
class Mailroom:
    """Takes notices; `refuse` is how many it turns away first."""

    url: str = ""
    refuse: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, within_s: float = 30) -> list[dict[str, Any]]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.taken) >= count, within_s), self.taken
            return [*self.taken]


@dataclass
class Ward:
    running: Gateway
    place: Place
    mailroom: Mailroom
    clock: Clock
    secrets: dict[str, str]
    glass: dict[str, Any] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def code(self, login: str) -> str:
        """A code that was not shown yet: the clock goes on to the next one if it must."""
        step = self.clock() // 30_000
        while step <= self._last.get(login, -1):
            self.clock.ahead_s += 30
            step = self.clock() // 30_000
        self._last[login] = step
        return str(TOTP(self.secrets[login]).at(self.clock() // 1000))

    def ask(self, method: str, path: str = "", body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.running.house.keys.operator_secret}"}
        address = f"/auth/break-glass{path}"
        return self.running.client.request(method, address, json=body, headers=headers)

    def wish(self, login: str = "dr-er", **changed: object) -> dict[str, object]:
        usual: dict[str, object] = {
            "user": login,
            "client": APP,
            "patient": "pat-a",
            "reason": "cannot-consent",
            "text": "Unconscious on arrival, no relatives.",
        }
        return {**usual, "code": self.code(login), **changed}

    def broken(self, login: str = "dr-er", **changed: object) -> dict[str, Any]:
        answer = self.ask("POST", body=self.wish(login, **changed))
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened


@contextmanager
def ward(folder: Path, upstream_url: str, more: str = "", **options: Any) -> Iterator[Ward]:
    """Dr Er and Dr Ro are clinicians with second factors; Nurse No has another role, Dr Pw one factor.
    The officer is no professional; Dr Er has an account for a role too."""
    clock = Clock()
    with mailroom() as taking:
        extra = EXTRA.format(url=taking.url, more=more)
        with gateway(folder, upstream_url, clock=clock, extra=extra, **options) as running:
            place = Place(folder, running.port)
            secrets = in_office(running.house.settings, _hire)
            place.good("client", "add", APP, "--auth-method", "none", "--name", "Ward", "--redirect-uri",
                       "https://ward.example/back", "--scope", "patient/*.rs")  # fmt: skip
            yield Ward(running, place, taking, clock, secrets)


PEOPLE = {
    "dr-er": ("Practitioner/prac-er", "clinician"),
    "dr-ro": ("Practitioner/prac-ro", "clinician"),
    "nurse": ("Practitioner/prac-no", "nurse"),
    "ann": ("Patient/pat-a", "clinician"),
    "dr-pw": ("Practitioner/prac-pw", "clinician"),
}


async def _hire(office: Office) -> dict[str, str]:
    """The secrets of their second factors."""
    secrets = {}
    for login, (user, role) in PEOPLE.items():
        profile = Profile(login, login, Ref(*user.split("/")), role, Ref("Organization", "org-1"))
        await office.people.add(profile, None, office.now_s)
        if login != "dr-pw":
            secrets[login] = await office.people.new_second_factor(login, office.now_s)
    await office.people.add(Profile("officer", "officer"), None, office.now_s)
    by_role = Profile("er-role", "er-role", Ref("PractitionerRole", "role-er"))
    await office.people.add(by_role, None, office.now_s)
    await office.people.add(Profile("gone", "gone"), None, office.now_s)
    await office.people.set_disabled("gone", True, office.now_s)
    return secrets


@contextmanager
def mailroom() -> Iterator[Mailroom]:
    taking = Mailroom()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with taking.arrived:
                taking.refuse -= 1
                refused = taking.refuse >= 0
                if not refused:
                    taking.taken.append(json.loads(body))
                taking.arrived.notify_all()
            self.send_response(503 if refused else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taking.url = f"http://127.0.0.1:{server.server_port}/notices"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield taking
        finally:
            server.shutdown()
            thread.join()
