"""An app that runs in pages of its own site, with SMART's client for browsers as it comes from npm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from tests.browser.hospital import ICON
from tests.browser.sites import served
from tests.clients import packages
from tests.clients.javascript import found
from tests.clients.reading import Resource

# It takes `iss` and `clientId` from the page's address by itself.
LAUNCH: Final = """
  const scope = new URL(location).searchParams.get("scope");
  const connect = () => FHIR.oauth2.authorize({ scope, redirectUri: "/app", pkceMode: "required" });
"""
APP: Final = "const ready = FHIR.oauth2.ready();"
REQUEST: Final = """async ([address, options]) => {
  const client = await ready;
  try {
    return { found: await client.request(address, options) };
  } catch (error) {
    if (!error.status) throw error;
    return { refused: error.status };
  }
}"""


@contextmanager
def smart_app(folder: Path, host: str = "app.example") -> Iterator[str]:
    """The address of its site, on https: elsewhere browsers have no cryptography for PKCE. Raises Missing."""
    script = packages.smart_js()
    routes = [
        Route("/fhir-client.js", lambda _: FileResponse(script)),
        Route("/launch", _page(LAUNCH, "<button onclick='connect()'>Connect</button>")),
        Route("/app", _page(APP)),
    ]
    folder.mkdir()
    with served(lambda _: Starlette(routes=routes), host, tls=folder) as url:
        yield url


def launch_of(app: str, base: str, client: str, scope: str) -> str:
    """The page that begins a standalone launch at a FHIR base."""
    return f"{app}/launch?{urlencode({'iss': base, 'clientId': client, 'scope': scope})}"


class LaunchedApp:
    """What the app does in its page, once it was launched."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def read(self, kind: str, id: str) -> Resource:
        resource: Resource = self._done(f"{kind}/{id}", {})
        return resource

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        options = {"pageLimit": 0, "flat": True}
        resources: list[Resource] = self._done(f"{kind}?{urlencode(criteria)}", options)
        return resources

    def tokens(self) -> dict[str, Any]:
        """What it was answered last at the token endpoint."""
        answer: dict[str, Any] = self._page.evaluate("async () => (await ready).state.tokenResponse")
        return answer

    def refresh(self) -> None:
        self._page.evaluate("async () => { await (await ready).refresh(); }")

    def _done(self, address: str, options: Mapping[str, object]) -> Any:
        return found(self._page.evaluate(REQUEST, [address, options]))


def _page(script: str, body: str = "<h1>App</h1>") -> Any:
    async def page(_: Request) -> Response:
        head = f'{ICON}<title>App</title><script src="/fhir-client.js"></script>'
        return HTMLResponse(f'<!doctype html><html lang="en">{head}<script>{script}</script>{body}')

    return page
