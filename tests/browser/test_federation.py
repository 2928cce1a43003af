"""A launch in a real browser whose person logs in at another gateway, without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import beside_the_screen, without_a_name
from tests.browser.conftest import OpenTab
from tests.browser.tab import Tab
from tests.conformance.apps import REDIRECT_URI
from tests.conformance.driver import STANDALONE, challenge_of
from tests.conformance.federation import KEYS_NOWHERE, federated
from tests.conformance.records import records
from tests.conformance.site import PASSWORD, Site, site
from tests.upstreams.sandbox import sandbox

HOST = "gw.example"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """The provider, and the gateway, which offers it beside its own log-in: two hosts, so two jars.

    Tests ask for it before a tab: it is made by commands, which run event loops of their own.
    """
    provider_folder, folder = (tmp_path_factory.mktemp(name) for name in ("provider", "gateway"))
    with sandbox() as upstream:
        for each in records():
            upstream.load(each)
        url = upstream.base_url
        with (
            site(provider_folder, url, tls=False, key_server=KEYS_NOWHERE) as provider,
            federated(provider, folder, url, "secret", local=True, host=HOST) as gateway,
        ):
            yield provider, gateway


def ask(gateway: Site) -> str:
    asked = {
        "response_type": "code",
        "client_id": "public",
        "redirect_uri": REDIRECT_URI,
        "scope": STANDALONE,
        "state": "st-1",
        "aud": gateway.base,
        "code_challenge": challenge_of("v" * 64),
        "code_challenge_method": "S256",
    }
    return f"{gateway.url}/auth/authorize?{urlencode(asked)}"


def opened_at(tab: OpenTab, address: str) -> Tab:
    opened = tab(390, ignore_https_errors=True)
    opened.page.goto(address)
    return opened


def looks_right(tab: Tab, name: str) -> None:
    tab.keep(name)
    assert beside_the_screen(tab.page) == []
    assert without_a_name(tab.page) == []


def log_in_there(page: Page, provider: Site, login: str) -> None:
    page.get_by_role("link", name="Log in with St Example").click()
    expect(page).to_have_url(re.compile(re.escape(provider.url)))
    page.get_by_label("Login name").fill(login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_a_launch_through_both(two: tuple[Site, Site], tab: OpenTab) -> None:
    provider, gateway = two
    opened = opened_at(tab, ask(gateway))
    page = opened.page
    looks_right(opened, "ways")
    log_in_there(page, provider, "anna")
    page.click("button[value=allow]")
    expect(page).to_have_url(re.compile(re.escape(f"{gateway.url}/auth/approve")))
    page.check("#patient-1")
    page.click("button[value=patient]:visible")
    with page.expect_event("requestfailed") as left:  # nobody is at the app's address
        page.click("button[value=allow]")
    assert left.value.url.startswith(REDIRECT_URI)
    told = parse_qs(urlsplit(left.value.url).query)
    assert (told["state"], told["iss"]) == (["st-1"], [gateway.url])
    assert told["code"]
    assert [finding.startswith(f"not loaded: {REDIRECT_URI}") for finding in opened.findings()] == [True]
    page.goto(f"{gateway.url}/auth/manage")
    expect(page.get_by_text("Anna Ek")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in with St Example")).to_be_visible()


def test_who_says_no_there_can_log_in_here(two: tuple[Site, Site], tab: OpenTab) -> None:
    provider, gateway = two
    opened = opened_at(tab, ask(gateway))
    page = opened.page
    log_in_there(page, provider, "anna")
    page.click("button[value=deny]")
    expect(page.get_by_role("alert")).to_contain_text("You did not finish the log-in at St Example.")
    looks_right(opened, "refused")
    page.get_by_label("Login name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Whose records?")
