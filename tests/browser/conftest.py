"""Browsers for the tests of this folder, which are plain functions: no coroutines (see `chromium`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from starlette.types import ASGIApp

from tests.auth.site import Site, make_site
from tests.browser.chromium import NoChromium, chromium
from tests.browser.sites import served
from tests.browser.tab import Tab, open_tab

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium, one for each module: coroutines of other modules find no event loop of it."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(chromium())
        except NoChromium as missing:
            pytest.skip(str(missing))
        yield running


@pytest.fixture
def tab(browser: Browser, tmp_path: Path) -> Iterator[OpenTab]:
    """Opens tabs, each with its own cookies: `tab(390)`, `tab(1280, scripts=True)`. See `open_tab`.

    At the end of a test in which all went well, nothing may have been wrong in any of them.
    """
    tabs: list[Tab] = []
    with ExitStack() as stack:

        def new(width: int = 390, *, scripts: bool = False, **options: Any) -> Tab:
            tabs.append(open_tab(browser, tmp_path, width, scripts=scripts, **options))
            stack.callback(tabs[-1].close)
            return tabs[-1]

        yield new
        assert [finding for each in tabs for finding in each.findings()] == []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The small site with people and log-in, at its `public_url`, on http."""
    with served_site(tmp_path) as made:
        yield made


@pytest.fixture
def tls_site(tmp_path: Path) -> Iterator[Site]:
    """The same on https, as `gw.example`."""
    with served_site(tmp_path, "gw.example", tls=tmp_path) as made:
        yield made


@pytest.fixture
def passkey_site(tmp_path: Path) -> Iterator[Site]:
    """As `tls_site`, with passkeys."""
    with served_site(tmp_path, "gw.example", tls=tmp_path, passkeys=True) as made:
        yield made


@contextmanager
def served_site(
    folder: Path, host: str = "127.0.0.1", tls: Path | None = None, *, passkeys: bool = False
) -> Iterator[Site]:
    made: list[Site] = []

    def make(url: str) -> ASGIApp:
        made.append(make_site(folder, url, passkeys=passkeys))
        return made[0].app()

    with served(make, host, tls):
        try:
            yield made[0]
        finally:
            made[0].database.close()
