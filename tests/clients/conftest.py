"""A real `consentry serve` at the address that it calls its own, in front of the sandbox; and its readers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.sites import aside
from tests.cli.support import Place, command, place
from tests.clients.javascript import fhir_kit_client, fhirclient_js
from tests.clients.python import fhirclient, fhirpy, fhirpy_async
from tests.clients.reading import Connect
from tests.upstreams.base import Missing, Upstream
from tests.upstreams.sandbox import sandbox

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
    """A gateway that runs. `base` is its FHIR base, without closing slash; the other calls are commands."""

    base: str
    place: Place

    def permit(self) -> str:
        """Grants app-1 all that pat-a has, and gives the id of the consent."""
        granted = self._command(
            "consent", "grant", "--json", "--patient", "pat-a", "--grantee", "client:app-1",
            "--scope", "patient/*.rs", "--purpose", "TREAT",
        )  # fmt: skip
        return str(json.loads(granted)["id"])

    def token(self, consent: str) -> str:
        token = self._command(
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
        self._command("consent", "revoke", consent)

    def _command(self, *arguments: str) -> str:
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
    made.good("keys", "init")
    made.good("consent", "grant", "--patient", "pat-a", "--deny", "--label", "HIV")
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
