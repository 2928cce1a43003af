"""Where services publish their keys: a site of its own, over TLS, with a key set at each path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.conformance.apps import PUBLIC_KEYS
from tests.support.asgi import serve

SETS = {"first": PUBLIC_KEYS[:1], "second": PUBLIC_KEYS[1:]}


@contextmanager
def key_server(certificate: Path) -> Iterator[str]:
    """Its address, without closing slash."""

    async def keys(request: Request) -> Response:
        return JSONResponse({"keys": SETS[request.path_params["name"]]})

    application = Starlette(routes=[Route("/{name}.json", keys)])
    with serve(application, lifespan="off", ssl_certfile=certificate) as served:
        yield f"https://localhost:{served.port}"
