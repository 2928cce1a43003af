"""The ledger's read API: checkpoint, tiles and proofs, under the paths of C2SP tlog-tiles.

Bodies are the log's own bytes. A tile never changes, so it may be kept for ever; a checkpoint may not.
What is not there is a plain 404, as log clients expect.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import errors
from gateway.ledger.reading import LedgerView

TEXT: Final = "text/plain; charset=utf-8"
IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
FRESH: Final = {"Cache-Control": "no-cache"}


def ledger_routes(ledger: LedgerView) -> list[Route]:
    """Routes below `/ledger`."""

    async def checkpoint(_: Request) -> Response:
        return Response(ledger.checkpoint(), media_type=TEXT, headers=FRESH)

    async def tile(request: Request) -> Response:
        body = ledger.tile("tile/" + request.path_params["path"])
        if body is None:
            return PlainTextResponse("There is no such tile.\n", 404)
        return Response(body, media_type="application/octet-stream", headers=IMMUTABLE)

    async def proof(request: Request) -> Response:
        try:
            body = await ledger.proof(request.path_params["index"])
        except errors.NotFound as error:
            return PlainTextResponse(error.text + "\n", 404)
        return Response(body, media_type=TEXT, headers=FRESH)

    return [
        Route("/checkpoint", checkpoint),
        Route("/tile/{path:path}", tile),
        Route("/proof/{index:int}", proof),
    ]
