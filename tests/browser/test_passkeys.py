"""Passkeys in a real browser with an authenticator of its own making (DevTools, WebAuthn domain)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import CDPSession, Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gateway.auth.people.waiting import Waiting
from tests.auth.site import PASSWORD, Site
from tests.browser.checks import beside_the_screen, without_a_name
from tests.browser.conftest import OpenTab
from tests.browser.sites import done, served
from tests.browser.tab import Tab

PASSKEYS, LOG_IN = "/auth/passkeys", "/auth/login/passkey"
NOT_SOUND = "This passkey was not accepted. Try again, or log in another way."


@dataclass
class Device:
    """A tab, and what its authenticator holds."""

    tab: Tab
    protocol: CDPSession
    authenticator: str

    @property
    def page(self) -> Page:
        return self.tab.page

    def credentials(self) -> list[dict[str, Any]]:
        found = self.protocol.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        keys: list[dict[str, Any]] = found["credentials"]
        return keys

    def put(self, credential: dict[str, Any]) -> None:
        """A copy of a key, as it was."""
        self.protocol.send("WebAuthn.clearCredentials", {"authenticatorId": self.authenticator})
        self.protocol.send(
            "WebAuthn.addCredential", {"authenticatorId": self.authenticator, "credential": credential}
        )


def device(tab: OpenTab, width: int = 390, *, verifies: bool = True) -> Device:
    opened = tab(width, scripts=True, ignore_https_errors=True)
    protocol = opened.page.context.new_cdp_session(opened.page)
    protocol.send("WebAuthn.enable")
    made = protocol.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": verifies,
                "isUserVerified": verifies,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return Device(opened, protocol, made["authenticatorId"])


def log_in(site: Site, page: Page) -> None:
    page.goto(f"{site.public_url}/auth/login")
    page.get_by_label("Login name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def register(site: Site, page: Page, name: str = "Phone") -> None:
    """From the page that says who is logged in."""
    page.get_by_role("link", name="Your passkeys").click()
    page.get_by_label("Name of this device").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(name)


def with_passkey(site: Site, tab: OpenTab) -> Device:
    """Anna's device, with a key, logged out."""
    done(site.add())
    opened = device(tab)
    log_in(site, opened.page)
    register(site, opened.page)
    opened.page.goto(f"{site.public_url}/auth/login")
    opened.page.get_by_role("button", name="Log out").click()
    heading(opened.page, "Log in")
    return opened


def use(page: Page) -> None:
    page.get_by_role("button", name="Use my passkey").click()


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def who(site: Site, page: Page) -> object:
    """Whom the site takes this browser for, asked in a tab beside."""
    beside = page.context.new_page()
    beside.goto(f"{site.public_url}/who")
    said: object = json.loads(beside.inner_text("body"))
    beside.close()
    return said


def looks_right(tab: Tab, name: str) -> None:
    tab.keep(name)
    assert beside_the_screen(tab.page) == []
    assert without_a_name(tab.page) == []


# --- In and out ------------------------------------------------------------------------------------


def test_registered_then_in_by_it(passkey_site: Site, tab: OpenTab) -> None:
    phone = with_passkey(passkey_site, tab)
    [key] = phone.credentials()
    assert (key["rpId"], key["isResidentCredential"]) == ("gw.example", True)
    assert who(passkey_site, phone.page) is None
    phone.page.get_by_role("link", name="Log in with a passkey").click()
    looks_right(phone.tab, "log-in")
    use(phone.page)
    heading(phone.page, "You are logged in")
    assert who(passkey_site, phone.page) == ["anna", True]
    phone.page.get_by_role("link", name="Your passkeys").click()
    expect(phone.page.get_by_text("never")).to_have_count(0)
    looks_right(phone.tab, "own")


def test_the_password_alone_is_half_of_it(passkey_site: Site, tab: OpenTab) -> None:
    phone = with_passkey(passkey_site, tab)
    passkey_site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    phone.page.goto(f"{passkey_site.public_url}/auth/login?next=req-1")
    phone.page.get_by_label("Login name").fill("anna")
    phone.page.get_by_label("Password").fill(PASSWORD)
    phone.page.get_by_role("button", name="Log in", exact=True).click()
    heading(phone.page, "Log in with a passkey")
    assert who(passkey_site, phone.page) is None
    phone.page.get_by_role("button", name="Log in another way").click()
    phone.page.get_by_role("link", name="Log in with a passkey").click()
    use(phone.page)
    expect(phone.page).to_have_url(f"{passkey_site.public_url}/auth/approve?id=req-1")
    assert who(passkey_site, phone.page) == ["anna", True]


def test_the_same_device_is_not_registered_twice(passkey_site: Site, tab: OpenTab) -> None:
    phone = with_passkey(passkey_site, tab)
    phone.page.goto(passkey_site.public_url + LOG_IN)
    use(phone.page)
    phone.page.get_by_role("link", name="Your passkeys").click()
    phone.page.get_by_label("Name of this device").fill("Again")
    phone.page.get_by_role("button", name="Add a passkey").click()
    expect(phone.page.get_by_role("alert")).to_have_text("This device has a passkey of yours already.")
    assert len(phone.credentials()) == 1


# --- What lets nobody in ---------------------------------------------------------------------------


def test_a_key_that_was_removed_here_lets_nobody_in(passkey_site: Site, tab: OpenTab) -> None:
    phone = with_passkey(passkey_site, tab)
    phone.page.goto(passkey_site.public_url + LOG_IN)
    use(phone.page)
    phone.page.get_by_role("link", name="Your passkeys").click()
    phone.page.get_by_role("button", name="Remove").click()
    expect(phone.page.get_by_role("heading", level=2)).to_have_count(0)
    phone.page.goto(f"{passkey_site.public_url}/auth/login")
    phone.page.get_by_role("button", name="Log out").click()
    phone.page.get_by_role("link", name="Log in with a passkey").click()
    use(phone.page)
    expect(phone.page.get_by_role("alert")).to_have_text(NOT_SOUND)
    assert who(passkey_site, phone.page) is None


def test_a_copy_of_a_key_is_noticed_by_its_counter(passkey_site: Site, tab: OpenTab) -> None:
    phone = with_passkey(passkey_site, tab)
    [copy] = phone.credentials()
    phone.page.goto(passkey_site.public_url + LOG_IN)
    use(phone.page)
    heading(phone.page, "You are logged in")
    phone.page.get_by_role("button", name="Log out").click()
    phone.put(copy)
    phone.page.goto(passkey_site.public_url + LOG_IN)
    use(phone.page)
    expect(phone.page.get_by_role("alert")).to_have_text(NOT_SOUND)
    assert who(passkey_site, phone.page) is None


def test_a_replayed_answer_lets_nobody_in(passkey_site: Site, tab: OpenTab) -> None:
    """Put into the form of a later log-in, with that one's token."""
    phone = with_passkey(passkey_site, tab)
    phone.page.goto(passkey_site.public_url + LOG_IN)
    with phone.page.expect_request(lambda request: request.method == "POST") as sent:
        use(phone.page)
    heading(phone.page, "You are logged in")
    [answer] = parse_qs(sent.value.post_data or "")["credential"]
    phone.page.get_by_role("button", name="Log out").click()
    phone.page.get_by_role("link", name="Log in with a passkey").click()
    put = "(form, answer) => { form.elements.credential.value = answer; form.submit() }"
    phone.page.locator("form[data-passkey]").evaluate(put, answer)
    expect(phone.page.get_by_role("alert")).to_have_text(NOT_SOUND)
    assert who(passkey_site, phone.page) is None


def test_a_device_that_does_not_verify_its_user_is_not_taken(passkey_site: Site, tab: OpenTab) -> None:
    done(passkey_site.add())
    key = device(tab, verifies=False)
    log_in(passkey_site, key.page)
    key.page.get_by_role("link", name="Your passkeys").click()
    key.page.get_by_label("Name of this device").fill("Key")
    key.page.get_by_role("button", name="Add a passkey").click()
    expect(key.page.get_by_role("alert")).to_be_visible()
    assert key.credentials() == []


@pytest.fixture
def other_site(passkey_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page of somebody else that asks for our passkeys, and has our page in a frame."""
    ask = (
        "navigator.credentials.get({publicKey: {challenge: new Uint8Array(32), rpId: 'gw.example'}})"
        ".then(() => 'got it', (error) => error.name).then((said) => { document.title = said })"
    )
    page = (
        '<!doctype html><html lang="en"><title>Win</title><link rel="icon" href="data:,">'
        f'<iframe title="Win" src="{passkey_site.public_url}{LOG_IN}"></iframe><script>{ask}</script>'
    )
    folder = tmp_path_factory.mktemp("other")
    application = Starlette(routes=[Route("/", lambda _: HTMLResponse(page))])
    with served(lambda _: application, "evil.example", tls=folder) as url:
        yield url


def test_another_site_gets_no_answer(passkey_site: Site, other_site: str, tab: OpenTab) -> None:
    phone = with_passkey(passkey_site, tab)
    phone.page.goto(other_site)
    expect(phone.page).to_have_title("SecurityError")
    assert all("Use my passkey" not in frame.content() for frame in phone.page.frames)
    assert any("frame" in finding for finding in phone.tab.findings())


# --- Without JavaScript ----------------------------------------------------------------------------


def test_without_scripts_the_pages_say_so_and_lead_back(passkey_site: Site, tab: OpenTab) -> None:
    done(passkey_site.add())
    opened = tab(390, ignore_https_errors=True)
    page = opened.page
    page.goto(passkey_site.public_url + LOG_IN)
    expect(page.get_by_text("A passkey needs JavaScript")).to_be_visible()
    expect(page.get_by_role("button", name="Use my passkey")).to_have_count(0)
    looks_right(opened, "no-scripts")
    page.get_by_role("button", name="Log in another way").click()
    page.get_by_label("Login name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    heading(page, "You are logged in")
    page.get_by_role("link", name="Your passkeys").click()
    expect(page.get_by_text(re.compile("JavaScript is needed"))).to_be_visible()
