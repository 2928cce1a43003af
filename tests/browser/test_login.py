"""The log-in in a real browser, JavaScript off: on a phone and on a desk, by keyboard, from other sites."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gateway.auth.people.waiting import Waiting
from tests.auth.site import PASSWORD, Site
from tests.browser.checks import beside_the_screen, focus_ring, focused, without_a_name
from tests.browser.conftest import OpenTab
from tests.browser.sites import done, served
from tests.browser.tab import Tab

LOGIN = "/auth/login"
PHONE, DESK, NARROWEST = 390, 1280, 320
WIDTHS = pytest.mark.parametrize("width", [PHONE, DESK], ids=["phone", "desk"])
WRONG_PASSWORD = "The login name or the password is not right."
WRONG_CODE = re.compile("The code is not right, or has been used.")


def at_login(site: Site, tab: Tab, query: str = "") -> Page:
    tab.page.goto(f"{site.public_url}{LOGIN}{query}")
    return tab.page


def log_in(page: Page, login: str = "anna", password: str = PASSWORD) -> None:
    page.get_by_label("Login name").fill(login)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def who(site: Site, page: Page) -> object:
    """Whom the site takes this browser for."""
    return page.context.request.get(f"{site.public_url}/who").json()


def check_layout(tab: Tab, name: str) -> None:
    tab.keep(name)
    assert beside_the_screen(tab.page) == []
    assert without_a_name(tab.page) == []


# --- In and out ------------------------------------------------------------------------------------


@WIDTHS
def test_in_by_password_and_out(site: Site, tab: OpenTab, width: int) -> None:
    done(site.add())
    opened = tab(width)
    page = at_login(site, opened)
    heading(page, "Log in")
    check_layout(opened, "password")
    log_in(page)
    heading(page, "You are logged in")
    expect(page.get_by_text("Anna Ek")).to_be_visible()
    check_layout(opened, "signed-in")
    assert who(site, page) == ["anna", False]
    page.get_by_role("button", name="Log out").click()
    heading(page, "Log in")
    assert who(site, page) is None


@WIDTHS
def test_a_wrong_password_then_the_right_one(site: Site, tab: OpenTab, width: int) -> None:
    done(site.add())
    opened = tab(width)
    page = at_login(site, opened)
    log_in(page, password=PASSWORD + "x")
    expect(page.get_by_role("alert")).to_have_text(WRONG_PASSWORD)
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.get_by_label("Login name")).to_have_value("anna")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()
    check_layout(opened, "wrong-password")
    assert who(site, page) is None
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    heading(page, "You are logged in")


@WIDTHS
def test_in_by_password_and_code(site: Site, tab: OpenTab, width: int) -> None:
    codes = done(site.add_with_code())
    opened = tab(width)
    page = at_login(site, opened)
    log_in(page, "bo")
    heading(page, "Enter your code")
    check_layout(opened, "code")
    assert who(site, page) is None
    right = codes.at(site.now_s)
    page.get_by_label("Code").fill(f"{(int(right) + 1) % 1_000_000:06}")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_text(WRONG_CODE)
    check_layout(opened, "wrong-code")
    assert who(site, page) is None
    page.get_by_label("Code").fill(right)
    page.get_by_role("button", name="Continue").click()
    heading(page, "You are logged in")
    assert who(site, page) == ["bo", True]


def test_from_the_code_one_can_begin_again(site: Site, tab: OpenTab) -> None:
    """The button works although the field above it is required and empty."""
    done(site.add_with_code())
    page = at_login(site, tab())
    log_in(page, "bo")
    page.get_by_role("button", name="Log in as somebody else").click()
    heading(page, "Log in")


def test_it_leads_on_to_what_waits(site: Site, tab: OpenTab) -> None:
    done(site.add())
    site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    page = at_login(site, tab(), "?next=req-1")
    log_in(page)
    expect(page).to_have_url(f"{site.public_url}/auth/approve?id=req-1")


def test_after_the_log_out_there_is_no_way_back(site: Site, tab: OpenTab) -> None:
    done(site.add())
    page = at_login(site, tab())
    log_in(page)
    page.get_by_role("button", name="Log out").click()
    heading(page, "Log in")
    page.go_back()
    heading(page, "Log in")
    expect(page.get_by_text("Anna Ek")).to_have_count(0)


def test_on_https_the_cookies_are_of_this_host_alone(tls_site: Site, tab: OpenTab) -> None:
    """The names and flags that browsers want of a `__Host-` cookie, else they would not keep it."""
    done(tls_site.add())
    page = at_login(tls_site, tab(ignore_https_errors=True))
    log_in(page)
    heading(page, "You are logged in")
    cookies = page.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"__Host-consentry", "__Host-consentry-device"}
    for cookie in cookies:
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")


# --- How it is laid out and used -------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_beside_the_narrowest_screen(site: Site, tab: OpenTab, scheme: str) -> None:
    """Every page of the log-in; a width of 320 is also what a zoom of 400 % leaves of 1280."""
    long_name = "Anna-Katharina Wolfeschlegelsteinhausenbergerdorff" * 2
    done(site.add(name=long_name))
    done(site.add_with_code())
    opened = tab(NARROWEST, color_scheme=scheme)
    page = at_login(site, opened, "?next=none")
    heading(page, "That did not work")
    check_layout(opened, f"failure-{scheme}")
    at_login(site, opened)
    check_layout(opened, f"password-{scheme}")
    log_in(page, "x" * 64, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    check_layout(opened, f"wrong-password-{scheme}")
    log_in(page, "bo")
    heading(page, "Enter your code")
    check_layout(opened, f"code-{scheme}")
    page.get_by_label("Code").fill("1")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check_layout(opened, f"wrong-code-{scheme}")
    page.get_by_role("button", name="Log in as somebody else").click()
    log_in(page)
    expect(page.get_by_text(long_name)).to_be_visible()
    check_layout(opened, f"signed-in-{scheme}")


def press(page: Page, key: str) -> str:
    """What has the focus after a key, which must be seen to have it."""
    page.keyboard.press(key)
    assert focus_ring(page) >= 2
    return focused(page)


@WIDTHS
def test_the_keyboard_is_enough(site: Site, tab: OpenTab, width: int) -> None:
    codes = done(site.add_with_code())
    page = at_login(site, tab(width))
    expect(page.get_by_label("Login name")).to_be_focused()
    page.keyboard.type("bo")
    assert press(page, "Tab") == "password"
    page.keyboard.type(PASSWORD)
    assert press(page, "Tab") == "Log in"
    page.keyboard.press("Enter")
    heading(page, "Enter your code")
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(codes.at(site.now_s))
    assert [press(page, "Tab") for _ in range(2)] == ["Continue", "Log in as somebody else"]
    assert [press(page, "Shift+Tab") for _ in range(2)] == ["Continue", "code"]
    page.keyboard.press("Enter")
    heading(page, "You are logged in")
    assert press(page, "Tab") == "Log out"
    page.keyboard.press("Space")
    heading(page, "Log in")


# --- From other sites ------------------------------------------------------------------------------


@pytest.fixture
def other_site(site: Site) -> Iterator[str]:
    """A page of somebody else that sends our form, and has our page in a frame."""
    fields = {"step": "password", "login": "anna", "password": PASSWORD}
    hidden = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    login = f"{site.public_url}{LOGIN}"
    page = (
        '<!doctype html><html lang="en"><title>Win</title><link rel="icon" href="data:,">'
        f'<form method="post" action="{login}">{hidden}<button>Win</button></form>'
        f'<iframe title="Win" src="{login}"></iframe>'
    )
    with served(
        lambda _: Starlette(routes=[Route("/", lambda _: HTMLResponse(page))]), "evil.example"
    ) as url:
        yield url


def test_another_site_can_neither_send_the_form_nor_frame_the_page(
    site: Site, other_site: str, tab: OpenTab
) -> None:
    done(site.add())
    opened = tab()
    page = at_login(site, opened)  # so that the browser has a cookie of ours
    page.goto(other_site)
    assert any("frame" in finding for finding in opened.findings())
    assert all("Log in" not in frame.content() for frame in page.frames)
    page.get_by_role("button", name="Win").click()
    heading(page, "That was not accepted")
    assert who(site, page) is None
