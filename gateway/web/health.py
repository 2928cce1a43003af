"""For load balancers and monitoring: alive, ready, counted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import errors
from gateway.ledger.reading import LedgerView
from gateway.web.metrics import Metrics


def health_routes(ledger: LedgerView, metrics: Metrics) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: the ledger can be read, so requests can be decided."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            ledger.head()
        except errors.LedgerUnavailable as error:
            return PlainTextResponse(error.text + "\n", 503)
        return PlainTextResponse("ok\n")

    async def counted(_: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", counted)]
