"""SMART's client for browsers, as it is, in a page of another site: launched, allowed, and withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Error, expect

from tests.browser.checks import beside_the_screen, without_a_name
from tests.browser.conftest import OpenTab
from tests.browser.tab import Tab
from tests.clients.conftest import Serving
from tests.clients.launching import (
    LABORATORY,
    OF_AN_EHR,
    SCOPE,
    allowed,
    ids,
    is_permitted,
    register,
    without_text,
)
from tests.clients.page import LaunchedApp, launch_of, smart_app
from tests.clients.person import DOCTOR, LOGIN, PASSWORD
from tests.clients.reading import Refused
from tests.upstreams.base import Missing, Upstream

WITHDRAW: Final = "button:has-text('Withdraw')"
WHO: Final = """async () => {
  const client = await ready;
  return [client.patient.id, client.encounter.id, client.user.fhirUser.split("/").slice(-2).join("/")];
}"""
FETCH: Final = """async ([address, token]) =>
  (await fetch(address, { headers: { Authorization: `Bearer ${token}` } })).status"""
REFRESH: Final = """async ([address, token]) => {
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: token });
  return (await fetch(address, { method: "POST", body })).json();
}"""


@pytest.fixture(scope="module")
def app(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app's site, which is registered as `page`, and as `page-ehr` for what EHRs open."""
    try:
        with smart_app(tmp_path_factory.mktemp("app") / "site") as url:
            register(serving, "page", f"{url}/app")
            launch = f"{url}/launch?{urlencode({'clientId': 'page-ehr', 'scope': OF_AN_EHR})}"
            register(serving, "page-ehr", f"{url}/app", "--launch-uri", launch, scope=OF_AN_EHR)
            yield url
    except Missing as missing:
        pytest.skip(str(missing))


def launched(tab: OpenTab, serving: Serving, app: str) -> Tab:
    """The app in a phone's browser, after a launch in which the person kept laboratory values to herself."""
    opened = tab(390, scripts=True, ignore_https_errors=True)
    page = opened.page
    page.goto(launch_of(app, serving.base, "page", SCOPE))
    page.click("text=Connect")
    page.fill("#login", LOGIN)
    page.fill("#password", PASSWORD)
    page.click("button[value=password]")
    page.check("#patient-1")
    looks_right(opened, "patient")
    page.click("button[value=patient]:visible")
    page.click(f"details.parts:has([id='{LABORATORY}']) summary")
    page.uncheck(f"[id='{LABORATORY}']")
    looks_right(opened, "approve")
    page.click("button[value=allow]")
    # The client has taken code and state out of the address by now.
    expect(page).to_have_url(f"{app}/app?{urlencode({'iss': serving.root})}")
    return opened


def looks_right(tab: Tab, name: str) -> None:
    tab.keep(name)
    assert beside_the_screen(tab.page) == []
    assert without_a_name(tab.page) == []


def withdraw(tab: Tab, gateway: str) -> None:
    """Everything, in another window of the same browser."""
    window = tab.page.context.new_page()
    window.goto(f"{gateway}/auth/manage")
    for left in reversed(range(window.locator(WITHDRAW).count())):
        window.click(f"{WITHDRAW} >> nth=0")
        expect(window.locator(WITHDRAW)).to_have_count(left)
        expect(window.get_by_role("status")).to_have_text("It is withdrawn, from now on.")
    window.close()


def test_a_page_is_launched_reads_and_refreshes(
    tab: OpenTab, serving: Serving, gateway: str, app: str, records: Upstream
) -> None:
    client = LaunchedApp(launched(tab, serving, app).page)
    first = client.tokens()
    assert first["patient"] == "pat-a"
    assert "laboratory" not in first["scope"]
    assert client.read("Patient", "pat-a") == records.get("Patient/pat-a").json()
    assert len(allowed(records)) > 50
    assert ids(client.search("Observation", patient="pat-a")) == allowed(records)
    client.refresh()
    second = client.tokens()
    assert first["refresh_token"] != second["refresh_token"]
    assert first["access_token"] != second["access_token"]
    assert ids(client.search("Observation", patient="pat-a")) == allowed(records)


def test_a_page_is_opened_by_an_ehr(
    tab: OpenTab, serving: Serving, gateway: str, app: str, records: Upstream
) -> None:
    opened = tab(390, scripts=True, ignore_https_errors=True)
    page = opened.page
    page.goto(serving.opens("page-ehr", "enc-a1"))
    page.click("text=Connect")
    page.fill("#login", DOCTOR)
    page.fill("#password", PASSWORD)
    page.click("button[value=password]")
    expect(page.get_by_text("chosen in the record system").first).to_be_visible()
    looks_right(opened, "approve-ehr")
    page.click("button[value=allow]")
    expect(page).to_have_url(f"{app}/app?{urlencode({'iss': serving.root})}")
    client = LaunchedApp(page)
    told = client.tokens()
    assert (told["patient"], told["encounter"]) == ("pat-a", "enc-a1")
    assert page.evaluate(WHO) == ["pat-a", "enc-a1", "Practitioner/prac-gp"]
    assert client.read("Encounter", "enc-a1")["id"] == "enc-a1"
    assert is_permitted(ids(client.search("Observation", patient="pat-a")), records)
    client.refresh()
    assert client.tokens()["encounter"] == "enc-a1"
    assert client.read("Patient", "pat-a") == without_text(records.get("Patient/pat-a").json())


def test_a_page_gets_nothing_more_once_it_is_withdrawn(
    tab: OpenTab, serving: Serving, gateway: str, app: str
) -> None:
    opened = launched(tab, serving, app)
    client = LaunchedApp(opened.page)
    assert client.read("Patient", "pat-a")["id"] == "pat-a"
    refresh_token = client.tokens()["refresh_token"]
    withdraw(opened, gateway)
    with pytest.raises(Refused) as refused:
        client.read("Patient", "pat-a")
    assert refused.value.status == 401
    assert client.tokens() == {}  # it takes its session for over
    told = opened.page.evaluate(REFRESH, [f"{gateway}/auth/token", refresh_token])
    assert told["error"] == "invalid_grant"
    assert [finding.partition(": ")[0] for finding in opened.findings()] == ["not loaded"] * 2


def test_a_page_of_a_site_that_is_not_registered(
    tab: OpenTab, serving: Serving, gateway: str, app: str, tmp_path: Path
) -> None:
    """With a token that opens the record: the browser keeps the answer from it."""
    opened = launched(tab, serving, app)
    address, token = f"{serving.base}/Patient/pat-a", LaunchedApp(opened.page).tokens()["access_token"]
    assert opened.page.evaluate(FETCH, [address, token]) == 200
    with smart_app(tmp_path / "site", "other.example") as other:
        opened.page.goto(f"{other}/launch")
        with pytest.raises(Error, match="Failed to fetch"):
            opened.page.evaluate(FETCH, [address, token])
    # Chromium says it in its console and as an issue, in either order.
    assert any("PreflightMissingAllowOriginHeader" in finding for finding in opened.findings())
