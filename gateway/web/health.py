"""For load balancers and monitoring: alive, ready, counted."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import errors
from gateway.ledger.reading import LedgerView
from gateway.ports import Consents
from gateway.web.metrics import MEDIA_TYPE, Metrics

log = logging.getLogger("consentry.health")


def health_routes(ledger: LedgerView, consents: Consents, metrics: Metrics) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: ledger and consents can be read, so requests can be
    decided. `/metrics`: what was counted."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            ledger.head()
            consents.at_head()
        except errors.ConsentryError as error:
            return PlainTextResponse(error.text + "\n", 503)
        except Exception:
            log.exception("not ready")
            return PlainTextResponse("The gateway cannot decide requests.\n", 503)
        return PlainTextResponse("ok\n")

    async def counted(_: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type=MEDIA_TYPE)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", counted)]
