"""The ledger's read API: checkpoint, tiles and proofs, under the paths of C2SP tlog-tiles.

Bodies are the log's own bytes. A tile never changes, so it may be kept for ever; a checkpoint may not.
What is not there is a plain 404, as log clients expect.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import errors
from gateway.ledger.reading import LedgerView

Handler = Callable[[Request], Awaitable[Response]]

TEXT: Final = "text/plain; charset=utf-8"
IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
INDEX: Final = re.compile("0|[1-9][0-9]{0,18}")
FRESH: Final = {"Cache-Control": "no-cache"}


def ledger_routes(ledger: LedgerView) -> list[Route]:
    """Routes below `/ledger`."""

    async def checkpoint(_: Request) -> Response:
        return Response(ledger.checkpoint(), media_type=TEXT, headers=FRESH)

    async def tile(request: Request) -> Response:
        body = ledger.tile("tile/" + request.path_params["path"])
        if body is None:
            raise errors.NotFound("There is no such tile.")
        return Response(body, media_type="application/octet-stream", headers=IMMUTABLE)

    async def proof(request: Request) -> Response:
        index = request.path_params["index"]
        if not INDEX.fullmatch(index):
            raise errors.NotFound("There is no such ledger entry.")
        return Response(await ledger.proof(int(index)), media_type=TEXT, headers=FRESH)

    return [
        Route("/checkpoint", _answering(checkpoint)),
        Route("/tile/{path:path}", _answering(tile)),
        Route("/proof/{index}", _answering(proof)),
    ]


def _answering(handler: Handler) -> Handler:
    """Errors as the plain text that log clients expect."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except errors.ConsentryError as error:
            return PlainTextResponse(error.text + "\n", error.status)

    return answer
