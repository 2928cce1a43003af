"""Which application answers which path, decided on the raw bytes of the request line."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import errors
from gateway.web.guard import guard
from gateway.web.render import outcome, respond


class Dispatcher:
    """FHIR bases first, by exact prefix of the undecoded path, without the addresses `beside` them;
    everything else goes to `rest`.

    A path that only decodes to a FHIR base (`/%66hir`) is not one: what is checked is what was sent.
    """

    def __init__(
        self,
        fhir: Mapping[str, ASGIApp],
        rest: ASGIApp,
        hosts: Collection[bytes],
        beside: Collection[str] = (),
    ) -> None:
        self._fhir = [(base.encode(), f"{base}/".encode(), app) for base, app in fhir.items()]
        self._beside = frozenset(path.encode() for path in beside)
        self._rest = rest
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._rest(scope, receive, send)
            return
        path: bytes = scope["raw_path"]
        for base, below, app in self._fhir:
            if (path.startswith(below) or path == base) and path not in self._beside:
                await app(scope, receive, send)
                return
        try:
            if scope["type"] == "http":
                guard(scope, self._hosts)
                if b"%" in path:
                    raise errors.NotFound("There is nothing at this address.")
        except errors.ConsentryError as error:
            await respond(send, error.status, outcome(error), ())
            return
        await self._rest(scope, receive, send)
