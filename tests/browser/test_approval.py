"""Deciding about an app in a real browser, without JavaScript: across two sites, on a phone and on a desk."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.auth.site import PASSWORD
from tests.browser.checks import beside_the_screen, focus_ring, focused, without_a_name
from tests.browser.conftest import OpenTab
from tests.browser.hospital import Hospital, hospital
from tests.browser.sites import done
from tests.browser.tab import Tab

WIDTHS = (390, 1280)
SCOPE = "openid fhirUser launch/patient offline_access patient/*.rs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("hospital")) as opened:
        done(opened.counter.may_act("anna", "pat-b"))
        yield opened


def looks_right(tab: Tab, name: str) -> None:
    tab.keep(name)
    assert beside_the_screen(tab.page) == []
    assert without_a_name(tab.page) == []
    assert tab.page.locator("h1").count() == 1


def log_in(page: Page) -> None:
    page.fill("#login", "anna")
    page.fill("#password", PASSWORD)
    page.click("button[value=password]")


def lands(page: Page, address: str) -> None:
    """Waits until it is at an address that begins so."""
    expect(page).to_have_url(re.compile(re.escape(address)))


def untick_all(page: Page) -> None:
    page.click("text=Untick all")
    expect(page).to_have_url(re.compile("tick=none"))  # until then the boxes are those of the page before


def to_the_decision(tab: OpenTab, place: Hospital, width: int = 390) -> Tab:
    opened = tab(width, ignore_https_errors=True)
    opened.page.goto(place.ask(scope=SCOPE))
    log_in(opened.page)
    opened.page.check("#patient-1")
    opened.page.click("button[value=patient]:visible")
    return opened


@pytest.mark.parametrize("width", WIDTHS)
def test_an_app_asks_by_post_and_gets_its_answer(tab: OpenTab, place: Hospital, width: int) -> None:
    opened = tab(width, ignore_https_errors=True)
    page = opened.page
    page.goto(place.posting(scope=SCOPE))
    page.click("text=Connect")
    log_in(page)
    looks_right(opened, "patient")
    page.check("#patient-2")
    page.click("button[value=patient]:visible")
    assert "pat-b" in (page.text_content("main") or "")
    looks_right(opened, "approve")
    page.click("button[value=allow]")
    lands(page, f"{place.app}/cb?code=")
    told = place.callbacks[-1]
    assert told.keys() == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == ("st-1", place.gateway)
    page.goto(f"{place.gateway}/auth/manage")
    looks_right(opened, "manage")
    page.click("text=Withdraw >> nth=0")
    expect(page.get_by_role("status")).to_have_text("It is withdrawn, from now on.")


def test_who_is_logged_in_stays_so_when_another_site_posts(tab: OpenTab, place: Hospital) -> None:
    page = to_the_decision(tab, place).page
    page.goto(place.posting(scope=SCOPE))
    page.click("text=Connect")
    expect(page.locator("h1")).to_have_text("Whose records?")


def test_denying_goes_back_to_the_app(tab: OpenTab, place: Hospital) -> None:
    page = to_the_decision(tab, place).page
    page.fill("#until", "2020-01-01")  # what does not fit is no hindrance
    page.click("button[value=deny]")
    lands(page, f"{place.app}/cb?error=access_denied")


def test_a_log_in_that_ends_at_the_app_gets_there(tab: OpenTab, place: Hospital) -> None:
    """The form of the log-in is led over the decision to the app, in one go."""
    opened = tab(390, ignore_https_errors=True)
    opened.page.goto(place.ask(scope=SCOPE))
    opened.page.fill("#login", "nobody")
    opened.page.fill("#password", PASSWORD)
    opened.page.click("button[value=password]")
    lands(opened.page, f"{place.app}/cb?error=access_denied")


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_wrong_is_said_first_and_leads_to_its_field(
    tab: OpenTab, place: Hospital, width: int
) -> None:
    opened = to_the_decision(tab, place, width)
    page = opened.page
    untick_all(page)
    page.click("button[value=allow]")
    expect(page).to_have_title(re.compile("^Error: "))
    looks_right(opened, "nothing-ticked")
    assert page.get_by_role("alert").is_visible()
    page.click("[role=alert] a")
    expect(page).to_have_url(re.compile("#records$"))
    assert page.locator("input[type=checkbox]:checked").count() == 1  # to stay, which is no record


def test_parts_are_chosen_and_all_else_is_kept(tab: OpenTab, place: Hospital) -> None:
    opened = to_the_decision(tab, place)
    page = opened.page
    untick_all(page)
    page.check("[id='t.Observation']")
    page.check("[id='p.Observation.laboratory']")
    opened.keep("parts")
    page.click("button[value=allow]")
    lands(page, f"{place.app}/cb?code=")
    answer = place.callbacks[-1]
    tokens = done(
        place.counter.desk.exchange(answer["code"], client_id="diary", redirect_uri=f"{place.app}/cb")
    )
    scope = tokens.json()["scope"]
    assert scope.split(" ")[-1].startswith("patient/Observation.rs?category=")
    assert "|laboratory" in scope


def test_many_kinds_are_named_and_can_be_chosen_among(tab: OpenTab, place: Hospital) -> None:
    opened = to_the_decision(tab, place)
    page = opened.page
    assert "It asks for Personal details; Conditions" in (page.text_content("#records") or "")
    expect(page.locator("[id='t.Goal']")).to_be_hidden()
    page.click("details.choose > summary")
    page.uncheck("[id='t.Goal']")
    looks_right(opened, "chosen")
    page.fill("#until", "2020-01-01")
    page.press("#until", "Enter")
    expect(page.locator("[id='t.Goal']")).not_to_be_checked()  # and it is not hidden again
    expect(page.locator("[id='t.Goal']")).to_be_visible()


def test_what_depends_on_others_shows_as_left_out(tab: OpenTab, place: Hospital) -> None:
    """The boxes stay as they were filled in, and their words say it without that, too."""
    opened = to_the_decision(tab, place)
    page = opened.page
    page.click("details.choose > summary")
    page.click("details.parts:has([id='p.Observation.rest']) > summary")
    rest, later = (page.locator(f"label[for='{box}']") for box in ("p.Observation.rest", "later"))
    assert [struck(label) for label in (rest, later)] == [False, False]
    page.uncheck("[id='p.Observation.laboratory']")
    looks_right(opened, "left-out")
    assert [struck(label) for label in (rest, later)] == [True, True]
    page.check("[id='p.Observation.laboratory']")
    page.uncheck("[id='t.Goal']")
    assert [struck(label) for label in (rest, later)] == [False, True]


def struck(label: Locator) -> bool:
    return "line-through" in str(label.evaluate("e => getComputedStyle(e).textDecorationLine"))


def test_it_is_done_by_keyboard(tab: OpenTab, place: Hospital) -> None:
    page = to_the_decision(tab, place).page
    page.focus("details.choose > summary")
    assert focus_ring(page) >= 2
    page.keyboard.press("Enter")
    page.focus("[id='t.Patient']")
    assert focus_ring(page) >= 2
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    assert focused(page) == "t.Condition"
    page.focus("#until")
    with page.expect_navigation():  # sends nothing off: the page comes again, as it was filled in
        page.keyboard.press("Enter")
    lands(page, f"{place.gateway}/auth/approve")
    assert not page.is_checked("[id='t.Patient']")
    assert page.is_checked("[id='t.Condition']")
    page.focus("button[value=allow]")
    assert focus_ring(page) >= 2
    page.keyboard.press("Tab")
    assert focused(page) == "Deny"
    page.keyboard.press("Shift+Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    lands(page, f"{place.app}/cb?code=")


def test_allowing_and_denying_have_the_same_weight(tab: OpenTab, place: Hospital) -> None:
    page = to_the_decision(tab, place).page
    boxes = [page.locator(f"button[value={step}]").bounding_box() for step in ("allow", "deny")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert (boxes[0]["width"], boxes[0]["height"]) == (boxes[1]["width"], boxes[1]["height"])
    style = "e => { const s = getComputedStyle(e); return [s.color, s.backgroundColor, s.fontSize]; }"
    looks = [page.locator(f"button[value={step}]").evaluate(style) for step in ("allow", "deny")]
    assert looks[0] == looks[1]
