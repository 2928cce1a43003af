"""One gateway as the provider at which the people of another log in: a whole launch over both.

The provider is on TLS as `localhost`, the other on http as 127.0.0.1: browsers keep cookies by host. The
gateway proves itself to the provider by a secret in one run and by a key in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.auth.counter import Form
from tests.auth.site import alert_of
from tests.conformance.browser import Browser, Person, Stuck
from tests.conformance.driver import STANDALONE, Kit, Launch, single
from tests.conformance.federation import CALLBACK, KEYS_NOWHERE, federated
from tests.conformance.site import Site, site
from tests.upstreams.base import Upstream


@dataclass(frozen=True)
class Two:
    """`kit` drives launches at the gateway whose people log in at `provider`."""

    provider: Site
    gateway: Site
    kit: Kit

    def launch(self, person: Person) -> Launch:
        """Raises Stuck."""
        app = self.gateway.apps["public"]
        asked, verifier = self.kit.asking(app, STANDALONE)
        with closing(_Both(self)) as browser:
            answer = browser.open(self.kit.configuration["authorization_endpoint"], asked)
            address = browser.go_on(answer, person)
            sites = [urlsplit(page).netloc for page in browser.filled]
        assert sites[0] == urlsplit(self.provider.url).netloc  # where the password was typed
        assert sites[-1] == urlsplit(self.gateway.url).netloc
        return Launch(app, asked, verifier, single(urlsplit(address).query))


class _Both(Browser):
    """A browser whose person fills in the pages of both; `filled` are the addresses of those."""

    def __init__(self, two: Two) -> None:
        super().__init__(two.provider)
        self._urls = (f"{two.provider.url}/", f"{two.gateway.url}/")
        self.filled: list[str] = []

    def submit(self, page: httpx.Response, form: Form, fields: Mapping[str, str]) -> httpx.Response:
        self.filled.append(str(page.url))
        address, from_ = urljoin(str(page.url), form.action), urljoin(str(page.url), "/").rstrip("/")
        return self.client.post(address, data=dict(fields), headers={"Origin": from_})

    def _is_ours(self, answer: httpx.Response) -> bool:
        return urljoin(str(answer.url), answer.headers["location"]).startswith(self._urls)


@pytest.fixture(scope="module")
def provider(hospital: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("provider")
    with site(folder, hospital.base_url, tls=True, key_server=KEYS_NOWHERE) as running:
        yield running


@pytest.fixture(scope="module", params=["secret", "key"])
def two(
    request: pytest.FixtureRequest,
    provider: Site,
    hospital: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("gateway")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(provider.place.folder / "authority.pem"))
        with (
            federated(provider, folder, hospital.base_url, request.param) as gateway,
            closing(Kit(gateway)) as kit,
        ):
            yield Two(provider, gateway, kit)


def test_a_launch_over_both_ends_in_a_token_that_reads_the_patient(two: Two) -> None:
    """Anna is known by her FHIR resource, which both gateways know by the same id."""
    tokens = two.kit.granted(two.kit.exchange(two.launch(Person("anna"))))
    assert tokens.body["patient"] == "pat-a"
    assert tokens.get("Patient/pat-a").json()["id"] == "pat-a"
    anna = two.gateway.place.json("user", "show", "anna")
    assert anna["id"] != two.provider.place.json("user", "show", "anna")["id"]


def test_who_is_linked_is_whom_they_are_linked_to(two: Two) -> None:
    """By the id that the provider knows the doctor by, whatever resource they are there."""
    place, subject = two.gateway.place, two.provider.place.json("user", "show", "gp")["id"]
    place.good("user", "link", "psy", "--provider", "hospital", "--subject", subject)
    try:
        with closing(_Both(two)) as browser, pytest.raises(Stuck) as there:
            browser.go_on(browser.client.get(f"{two.gateway.url}/auth/manage"), Person("gp"))
        assert str(there.value.page.url) == f"{two.gateway.url}/auth/manage"
        assert "Dr Psi" in there.value.page.text
    finally:
        place.good("user", "unlink", "psy", "--provider", "hospital", "--subject", subject)


def test_who_says_no_at_the_provider_is_not_in(two: Two) -> None:
    with pytest.raises(Stuck) as stuck:
        two.launch(Person("anna", allows=False))
    page = stuck.value.page
    assert str(page.url).startswith(f"{two.gateway.url}{CALLBACK}?error=access_denied")
    assert "You did not finish the log-in at St Example." in alert_of(page)
    assert "denied" not in page.text.replace(str(page.url), "")


def test_who_is_nobody_here_gets_no_further(two: Two) -> None:
    two.provider.place.good(
        "user", "add", f"visitor-{two.gateway.place.port}", "--name", "A Visitor",
        "--password-file", str(two.provider.place.folder / "password"),
    )  # fmt: skip
    with pytest.raises(Stuck) as stuck:
        two.launch(Person(f"visitor-{two.gateway.place.port}"))
    assert stuck.value.page.status_code == 403
    assert "Ask the office" in alert_of(stuck.value.page)


def test_a_disabled_person_gets_no_further(two: Two) -> None:
    two.gateway.place.good("user", "disable", "psy")
    try:
        with pytest.raises(Stuck) as stuck:
            two.launch(Person("psy"))
        assert stuck.value.page.status_code == 403
    finally:
        two.gateway.place.good("user", "enable", "psy")
