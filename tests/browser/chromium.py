"""The system's Chromium, driven by Playwright. Nothing is downloaded, and no host outside is reached.

Names under `.example` are this machine, so that sites of different names can be tested; every other name is
unknown. Playwright's synchronous interface keeps an event loop running in its thread: while a browser is
open, coroutines are run by `tests.browser.sites.done`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright

ENVIRONMENT: Final = "CONSENTRY_CHROMIUM"
PATIENCE_MS: Final = 30_000
"""How long what is expected of a page may take: as long as what is clicked in it."""
NAMES: Final = ("chromium", "chromium-browser", "/usr/lib/chromium/chromium")
HOSTS: Final = "MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
FLAGS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    f"--host-resolver-rules={HOSTS}",
)


class NoChromium(Exception):
    """The machine has none; the text says how it gets one."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless one for the block. Raises NoChromium."""
    program = find_chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # As root it has no sandbox of its own, and says so by not starting.
        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def find_chromium() -> str:
    """The path of the program. Raises NoChromium."""
    named = os.environ.get(ENVIRONMENT)
    for name in NAMES if named is None else (named,):
        if (found := shutil.which(name)) is not None:
            return found
    raise NoChromium(f"needs Chromium: install the package chromium, or set {ENVIRONMENT} to its path")
