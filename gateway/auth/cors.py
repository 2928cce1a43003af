"""An address with its methods, and which pages elsewhere may use it from a browser (Fetch, CORS protocol).

What is public may be read from any page; the token endpoint answers the pages of registered public clients
alone (SMART App Launch 2.2, "CORS support"). No answer is ever for a browser's own credentials: there is no
Access-Control-Allow-Credentials here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gateway.auth.http import Handler, endpoint
from gateway.errors import OAuthError, StateUnavailable

Origins = Callable[[str], Awaitable[bool]]
"""Whether pages of an origin, as a browser writes it, may read the answer. Raises StateUnavailable."""

MAX_ORIGIN: Final = 512
PREFLIGHT_S: Final = 600
HEADERS: Final = "Authorization, Content-Type, DPoP"


async def everyone(_: str) -> bool:
    """For what is public."""
    return True


def route(path: str, handlers: Mapping[str, Handler], origins: Origins | None = None) -> Route:
    """The route of `path`: its `handlers` by method, each as an `endpoint`; 405 for other methods.

    Without `origins` no page elsewhere may use it.
    """
    return Route(path, _Address(handlers, origins))


class _Address:
    """The ASGI application behind one path."""

    def __init__(self, handlers: Mapping[str, Handler], origins: Origins | None) -> None:
        self._handlers = {method: endpoint(handler) for method, handler in handlers.items()}
        if "GET" in handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self._allow = ", ".join([*self._handlers, "OPTIONS"])
        self._origins = origins
        self._other = endpoint(self._refuse)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        shared = await self._shared(request)
        if request.method == "OPTIONS":
            answer = Response(status_code=204, headers={"Allow": self._allow, "Cache-Control": "no-store"})
            if shared is not None:
                answer.headers.update(self._preflight())
        else:
            answer = await self._handlers.get(request.method, self._other)(request)
            if answer.status_code == 405:
                answer.headers["Allow"] = self._allow
        await answer(scope, receive, self._sharing(send, shared))

    async def _refuse(self, _: Request) -> Response:
        raise OAuthError("invalid_request", "This address does not answer requests of this method.", 405)

    async def _shared(self, request: Request) -> str | None:
        """The value of Access-Control-Allow-Origin, or None for a page that may not read the answer."""
        given = request.headers.getlist("origin")
        if self._origins is None or len(given) != 1 or len(given[0]) > MAX_ORIGIN:
            return None
        if self._origins is everyone:
            return "*"
        try:
            return given[0] if await self._origins(given[0]) else None
        except StateUnavailable:
            return None  # the handler meets the same, and says so

    def _preflight(self) -> dict[str, str]:
        return {
            "Access-Control-Allow-Methods": ", ".join(self._handlers),
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }

    def _sharing(self, send: Send, shared: str | None) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and self._origins is not None:
                headers = MutableHeaders(scope=message)
                if self._origins is not everyone:
                    headers.add_vary_header("Origin")
                if shared is not None:
                    headers["Access-Control-Allow-Origin"] = shared
            await send(message)

        return sending
