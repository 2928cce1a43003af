"""A gateway's pages for people on `gw.example` and an app on `app.example`: two sites, over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.auth.counter import APP, ASK, Counter, application, open_counter
from tests.browser.sites import certificate, served
from tests.support.asgi import serve

GATEWAY: Final = "gw.example"
ICON: Final = '<link rel="icon" href="data:,">'


@dataclass
class Hospital:
    """`gateway` and `app` are addresses without a closing slash; `callbacks` is what the app was told."""

    gateway: str
    app: str
    callbacks: list[dict[str, str]]
    counter: Counter

    def ask(self, **changed: str) -> str:
        """The address at which the app asks for access."""
        return f"{self.gateway}/auth/authorize?{urlencode({**self.asked, **changed})}"

    def posting(self, **changed: str) -> str:
        """The app's own page that asks by POST."""
        return f"{self.app}/post?{urlencode({**self.asked, **changed})}"

    @property
    def asked(self) -> dict[str, str]:
        return {**ASK, "redirect_uri": f"{self.app}/cb"}


@contextmanager
def hospital(folder: Path) -> Iterator[Hospital]:
    (folder / "app").mkdir()
    callbacks: list[dict[str, str]] = []
    hosted = _Hosted(folder)
    with served(lambda _: _app(callbacks, hosted), "app.example", tls=folder / "app") as app:
        hosted.redirect_uri = f"{app}/cb"
        with serve(hosted, lifespan="on", ssl_certfile=certificate(folder, GATEWAY)) as running:
            hosted.url = f"https://{GATEWAY}:{running.port}"
            yield Hospital(hosted.url, app, callbacks, hosted.counter)


def _app(callbacks: list[dict[str, str]], hosted: _Hosted) -> Starlette:
    async def callback(request: Request) -> Response:
        callbacks.append(dict(request.query_params))
        return HTMLResponse(
            f'<!doctype html><html lang="en">{ICON}<title>App</title><h1>Back in the app</h1>'
        )

    async def post(request: Request) -> Response:
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{value}">'
            for name, value in request.query_params.items()
        )
        form = f'<form method="post" action="{hosted.url}/auth/authorize">{fields}'
        page = f'<!doctype html><html lang="en">{ICON}<title>App</title>{form}<button>Connect</button></form>'
        return HTMLResponse(page)

    return Starlette(routes=[Route("/cb", callback), Route("/post", post)])


class _Hosted:
    """The pages, whose counter is opened in the event loop that serves them."""

    counter: Counter
    url: str
    redirect_uri: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._application: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._made()(scope, receive, send)
            return
        client = replace(APP, redirect_uris=(self.redirect_uri,))
        async with open_counter(self._folder, (client,)) as self.counter:
            await Starlette()(scope, receive, send)

    def _made(self) -> ASGIApp:
        if self._application is None:
            ports = replace(self.counter.ports, issuer=self.url)
            self._application = application(ports, self.counter.desk, self.url)
        return self._application
