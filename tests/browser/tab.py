"""One tab of a browser with cookies of its own, and everything that Chromium found wrong in it.

What is wrong: a violation of the page's policy or anything else that Chromium reports as an issue of a page,
a script's error, a warning in the console, a file that did not load. A document whose status is 4xx is none
of these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response

HEIGHT = 844
_LEFT = "net::ERR_ABORTED"  # the page was left before the file came; a file that is refused has a status too


@dataclass
class Tab:
    """`page` is Playwright's; `wrong` are the findings so far, each as a line."""

    page: Page
    width: int
    folder: Path
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._audits = self.page.context.new_cdp_session(self.page)
        self._audits.on("Audits.issueAdded", self._issue)
        self._audits.send("Audits.enable")
        self.page.on("console", self._console)
        self.page.on("pageerror", self._thrown)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._response)

    def keep(self, name: str) -> Path:
        """A picture of the whole page, among what pytest keeps of the test."""
        path = self.folder / f"{name}-{self.width}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def findings(self) -> list[str]:
        """What is wrong so far, which is forgotten by that."""
        self._audits.send("Audits.enable")  # what was reported before this answer has arrived with it
        found, self.wrong[:] = [*self.wrong], []
        return found

    def close(self) -> None:
        """Ends the tab and its cookies."""
        self.page.context.close()

    def _issue(self, event: dict[str, Any]) -> None:
        issue = event["issue"]
        self.wrong.append(f"{issue['code']} {json.dumps(issue['details'])}")

    def _console(self, message: ConsoleMessage) -> None:
        of_a_status = message.text.startswith("Failed to load resource: the server responded with a status")
        if message.type in ("error", "warning") and not of_a_status:
            self.wrong.append(f"console: {message.text}")

    def _thrown(self, error: Error) -> None:
        self.wrong.append(f"script: {error.message}")

    def _failed(self, request: Request) -> None:
        if request.failure == _LEFT:
            return
        self.wrong.append(f"not loaded: {request.url} ({request.failure})")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self.wrong.append(f"not loaded: {response.url} (status {response.status})")


def open_tab(browser: Browser, folder: Path, width: int, *, scripts: bool = False, **options: Any) -> Tab:
    """A blank one, `width` pixels wide. `options` are those of Playwright's contexts.

    With `scripts` off no page runs any, as if the person had switched JavaScript off.
    """
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, java_script_enabled=scripts, **options
    )
    context.set_default_timeout(10_000)
    return Tab(context.new_page(), width, folder)
