"""The sandbox as an ASGI application: an embedded FHIR R4 server for the demonstration and the tests.

It answers anybody, and that is its purpose: the gateway in front of it has to hold by itself. It keeps
everything in memory and builds its links on the Host the client named, unless `base_url` is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import BadRequest, NotFound
from gateway.mapping import load_catalogue
from gateway.sandbox.load import load
from gateway.sandbox.message import Reply, Request, failed, pairs
from gateway.sandbox.search import Search
from gateway.sandbox.server import Server
from gateway.sandbox.store import Store


def sandbox_app(
    *,
    now: Callable[[], datetime],
    base_url: str | None = None,
    page_size: int = 20,
    data: Iterable[bytes] = (),
) -> Starlette:
    """A server at `/fhir`, or at the path of `base_url`, that holds `data` (see `load`) to begin with.

    `now` gives aware datetimes. `app.state.server` is the `Server`, for loading more.

    Raises:
        ConsentryError: `data` cannot be loaded.
    """
    server = Server(Search(Store(), load_catalogue("R4")), page_size, now)
    for text in data:
        load(server, text)
    path = urlsplit(base_url).path.rstrip("/") if base_url else "/fhir"
    # Mounted at the root: a Mount at /fhir would redirect /fhir itself, where pages and Bundles are asked.
    app = Starlette(routes=[Mount("/", app=_endpoint(server, path, base_url))])
    app.state.server = server
    return app


def _endpoint(server: Server, path: str, base_url: str | None) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        method = str(scope["method"])
        body = b"" if method in ("GET", "HEAD") else await _body(receive)
        try:
            reply = server.answer(_request(scope, path, body, base_url))
        except (BadRequest, NotFound) as error:
            reply = failed(error)
        await _send(send, reply, headless=method == "HEAD")

    return endpoint


def _request(scope: Scope, path: str, body: bytes, base_url: str | None) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    if raw != path and not raw.startswith(path + "/"):
        raise NotFound("There is nothing at this address.")
    return Request(
        method="GET" if scope["method"] == "HEAD" else scope["method"],
        path=tuple(unquote(segment) for segment in raw[len(path) :].split("/") if segment),
        query=pairs(scope["query_string"].decode("latin-1")),
        headers=headers,
        body=body,
        base=base_url.rstrip("/") if base_url else f"{scope['scheme']}://{headers.get('host', '')}{path}",
    )


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, reply: Reply, *, headless: bool) -> None:
    headers = [*reply.headers]
    if reply.status != 304:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    if reply.body:
        headers.append((b"content-type", reply.media_type.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if headless else reply.body})
