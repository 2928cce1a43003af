"""What the browser tests rely on: that they would notice. Each finding has a page that has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Error
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.browser.checks import beside_the_screen, focus_ring, focused, without_a_name
from tests.browser.chromium import ENVIRONMENT, NoChromium, find_chromium
from tests.browser.conftest import OpenTab
from tests.browser.sites import served
from tests.browser.tab import Tab

POLICY = {"Content-Security-Policy": "default-src 'none'; img-src data:; form-action 'self'"}
PAGE = '<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,"><body>'
GOOD = '<form><label for="a">A</label><input id="a" name="a" autocomplete="off"><button>Go</button></form>'


@pytest.fixture
def address() -> Iterator[str]:
    """A site whose page has in its body what is asked for, under a policy that allows nearly nothing."""

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(PAGE + request.query_params.get("body", GOOD), headers=POLICY)

    with served(lambda _: Starlette(routes=[Route("/", page)])) as url:
        yield url


@pytest.fixture
def show(tab: OpenTab, address: str) -> OpenTab:
    """A tab that shows a body."""

    def shown(body: str = GOOD, width: int = 390, *, scripts: bool = False) -> Tab:
        opened = tab(width, scripts=scripts)
        opened.page.goto(f"{address}/?body={quote(body)}")
        return opened

    return shown


def test_a_good_page_has_nothing_wrong(show: OpenTab) -> None:
    tab = show()
    assert (tab.findings(), beside_the_screen(tab.page), without_a_name(tab.page)) == ([], [], [])


@pytest.mark.parametrize("scripts", [False, True], ids=["no scripts", "scripts"])
@pytest.mark.parametrize(
    ("body", "directive"),
    [
        ('<p style="color: red">', "style-src-attr"),
        ("<style>p { color: red }</style>", "style-src-elem"),
        ('<img src="/picture.png" alt="">', "img-src"),
        ('<iframe src="/"></iframe>', "frame-src"),
    ],
    ids=["style attribute", "style element", "image", "frame"],
)
def test_a_violation_of_the_policy_is_noticed(
    show: OpenTab, body: str, directive: str, scripts: bool
) -> None:
    findings = show(GOOD + body, scripts=scripts).findings()
    assert any(f'"violatedDirective": "{directive}"' in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("scripts", "noticed"), [(False, False), (True, True)], ids=["no scripts", "scripts"]
)
def test_a_script_counts_where_scripts_are_on(show: OpenTab, scripts: bool, noticed: bool) -> None:
    findings = show(GOOD + "<script>document.title = 'ran'</script>", scripts=scripts).findings()
    assert any("script-src-elem" in finding for finding in findings) is noticed


def test_what_a_page_writes_and_what_fails_in_it_is_noticed(tab: OpenTab) -> None:
    page = (
        "<script>console.error('wrong'); throw new Error('thrown')</script><script src='/none.js'></script>"
    )
    with served(lambda _: Starlette(routes=[Route("/", lambda _: HTMLResponse(PAGE + page))])) as url:
        opened = tab(scripts=True)
        opened.page.goto(url)
        findings = opened.findings()
    for expected in ("console: wrong", "script: thrown", f"not loaded: {url}/none.js (status 404)"):
        assert any(expected in finding for finding in findings), (expected, findings)


def test_a_page_may_be_left_before_it_is_whole(tab: OpenTab) -> None:
    asked = threading.Event()

    async def never(request: Request) -> Response:
        asked.set()
        await request.body()
        await request.receive()  # the end of the connection
        return Response()

    page = HTMLResponse(f'{PAGE}<img src="/never.png" alt="">')
    other = HTMLResponse(PAGE)
    routes = [Route("/", lambda _: page), Route("/never.png", never), Route("/other", lambda _: other)]
    with served(lambda _: Starlette(routes=routes)) as url:
        opened = tab()
        opened.page.goto(url, wait_until="commit")
        assert asked.wait(10)
        opened.page.goto(f"{url}/other")
        assert opened.findings() == []


@pytest.mark.parametrize(
    ("body", "width", "count"),
    [
        ('<img src="data:," width="300" height="9" alt="">', 320, 0),
        ('<img src="data:," width="313" height="9" alt="">', 320, 2),
        ('<img src="data:," width="313" height="9" alt="">', 390, 0),
        ("<p>" + "x" * 200, 320, 1),
    ],
    ids=["narrow", "wide", "wide on a wider screen", "a long word"],
)
def test_what_is_beside_the_screen_is_noticed(show: OpenTab, body: str, width: int, count: int) -> None:
    assert len(beside_the_screen(show(body, width).page)) == count


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ("<label>A <input name=a></label>", True),
        ("<input type=hidden name=a>", True),
        ("<input name=a placeholder=A>", False),
        ("<label for=b>A</label><input id=a name=a>", False),
        ("<label for=a></label><input id=a name=a>", False),
        ("<label for=a hidden>A</label><input id=a name=a>", False),
        ("<select name=a></select>", False),
        ("<button></button>", False),
        ('<a href="/"></a>', False),
    ],
)
def test_a_control_without_a_name_is_noticed(show: OpenTab, body: str, good: bool) -> None:
    opened = show(body)
    assert (without_a_name(opened.page) == []) is good
    opened.findings()  # Chromium notices some of it too


@pytest.mark.parametrize(
    ("style", "thick"), [("", True), ("outline: none", False), ("outline-width: 0", False)]
)
def test_a_focus_that_is_not_seen_is_noticed(tab: OpenTab, style: str, thick: bool) -> None:
    button = HTMLResponse(f'{PAGE}<button style="{style}">Go</button>')
    with served(lambda _: Starlette(routes=[Route("/", lambda _: button)])) as url:
        page = tab().page
        page.goto(url)
        page.keyboard.press("Tab")
        assert focused(page) == "Go"
        assert (focus_ring(page) > 0) is thick


@pytest.mark.parametrize("host", ["example.com", "localhost", "app.example.org"])
def test_no_host_outside_is_reached(tab: OpenTab, address: str, host: str) -> None:
    opened = tab()
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        opened.page.goto(address.replace("127.0.0.1", host))
    assert opened.findings()
    opened.page.goto(address.replace("127.0.0.1", "app.example"))
    assert opened.page.title() == "A page"


def test_where_there_is_no_chromium_the_reason_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "none"))
    with pytest.raises(NoChromium, match="install the package chromium"):
        find_chromium()
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv(ENVIRONMENT, str(program))
    assert find_chromium() == str(program)
