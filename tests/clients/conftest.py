"""A real `consentry serve` at the address that it calls its own, in front of the sandbox; and its readers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.browser.conftest import browser, tab
from tests.browser.sites import aside
from tests.cli.support import Place, command, place
from tests.clients.javascript import fhir_kit_client, fhirclient_js
from tests.clients.person import DOCTOR, LOGIN, PASSWORD
from tests.clients.python import fhirclient, fhirpy, fhirpy_async
from tests.clients.reading import Connect
from tests.upstreams.base import Missing, Upstream
from tests.upstreams.sandbox import sandbox

__all__ = ["browser", "tab"]  # fixtures of the other folder, for its pages

DOCTOR_IS = "Practitioner/prac-gp"
PEOPLE = Path(__file__).parents[2] / "fixtures/people"
CLIENTS: dict[str, Callable[[], AbstractContextManager[Connect]]] = {
    "fhirclient": fhirclient,
    "fhirpy": fhirpy,
    "fhirpy-async": fhirpy_async,
    "fhir-kit-client": fhir_kit_client,
    "fhirclient.js": fhirclient_js,
}


@dataclass(frozen=True)
class Serving:
    """A gateway that runs. `root` is its address, `base` its FHIR base, both without closing slash; the calls
    are commands."""

    base: str
    place: Place

    @property
    def root(self) -> str:
        return self.base.removesuffix("/fhir")

    def opens(self, client: str, encounter: str) -> str:
        """What an EHR opens for the doctor, with pat-a and an encounter: the app's address with `iss` and
        `launch`."""
        secret = (self.place.folder / "keys/operator.key").read_text().strip()
        answer = httpx.post(
            f"{self.root}/auth/launch",
            json={"client": client, "user": DOCTOR_IS, "patient": "pat-a", "encounter": encounter},
            headers={"Authorization": f"Bearer {secret}"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["launch_url"])

    def permit(self) -> str:
        """Grants app-1 all that pat-a has, and gives the id of the consent."""
        granted = self.command(
            "consent", "grant", "--json", "--patient", "pat-a", "--grantee", "client:app-1",
            "--scope", "patient/*.rs", "--purpose", "TREAT",
        )  # fmt: skip
        return str(json.loads(granted)["id"])

    def token(self, consent: str) -> str:
        token = self.command(
            "token",
            "--client",
            "app-1",
            "--patient",
            "pat-a",
            "--scope",
            "patient/*.rs",
            "--consent",
            consent,
        )
        return token.strip()

    def revoke(self, consent: str) -> None:
        self.command("consent", "revoke", consent)

    def command(self, *arguments: str) -> str:
        """What it prints."""
        return aside(self.place.good, *arguments)


@pytest.fixture(scope="module")
def records() -> Iterator[Upstream]:
    """The sandbox with the synthetic hospital in it."""
    with sandbox() as upstream:
        for file in sorted(PEOPLE.glob("*.json")):
            upstream.load(json.loads(file.read_text("utf-8")))
        yield upstream


@pytest.fixture(scope="module")
def serving(records: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """In front of it, a gateway where what is labelled HIV is denied; its ledger verifies at the end."""
    made = place(tmp_path_factory.mktemp("clients"), records.base_url)
    aside(made.good, "keys", "init")
    aside(made.good, "consent", "grant", "--patient", "pat-a", "--deny", "--label", "HIV")
    with command("serve", "--config", str(made.config)) as served:
        assert served.url == f"http://127.0.0.1:{made.port}"
        yield Serving(f"{served.url}/fhir", made)
        aside(made.good, "ledger", "verify")


@pytest.fixture(scope="module", params=CLIENTS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of each kind."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "127.0.0.1")
        try:
            yield stack.enter_context(CLIENTS[request.param]())
        except Missing as missing:
            pytest.skip(str(missing))


@pytest.fixture(scope="module")
def gateway(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its address, where a patient has an account of their own, and somebody to act for; and a doctor one,
    whom the patient has consented to."""
    password = tmp_path_factory.mktemp("person") / "password"
    password.write_text(PASSWORD)
    for login, name, user in ((LOGIN, "Anna Ek", "Patient/pat-a"), (DOCTOR, "Dr Gren", DOCTOR_IS)):
        who = ("--name", name, "--user", user, "--password-file", str(password))
        serving.command("user", "add", login, *who)
    serving.command(
        "user", "allow", LOGIN, "--patient", "pat-b", "--relationship", "MTH", "--until", "2036-01-01"
    )
    serving.command(
        "consent", "grant", "--patient", "pat-a", "--grantee", "practitioner:prac-gp",
        "--scope", "patient/*.rs", "--purpose", "TREAT",
    )  # fmt: skip
    return serving.root
