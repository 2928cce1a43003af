"""The operator API for what consents would do, below `/admin`: asked before anything is granted.

    POST /admin/preview   {"draft","change","as","upstream"}       200 who would see what, and why
    POST /admin/compare   {"first","second","as","upstream"}       200 the same, of two consents
    POST /admin/simulate  {"request","token","record","upstream"}  200 which rule decides a request

`as` lists viewers, each a list of identities; `upstream` is needed if there are several. A preview reads
the patient's records, so it is recorded; a simulation asks nothing and is not.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import errors
from gateway.consents.service import ConsentService
from gateway.ports import Ports
from gateway.preview import comparison, drafted, preview
from gateway.simulate import Supposed, simulate
from gateway.web.admin import draft_of
from gateway.web.operator import Guarded, read_as, reply

MAX_RECORD_BYTES = 1024 * 1024
NULL = b"null"


class _PreviewBody(msgspec.Struct, forbid_unknown_fields=True, rename={"viewers": "as"}):
    draft: dict[str, object]
    change: str | None = None
    viewers: list[list[str]] = []
    upstream: str | None = None


class _CompareBody(msgspec.Struct, forbid_unknown_fields=True, rename={"viewers": "as"}):
    first: str
    second: str
    viewers: list[list[str]] = []
    upstream: str | None = None


class _SimulateBody(msgspec.Struct, forbid_unknown_fields=True):
    request: str
    token: str
    record: msgspec.Raw = msgspec.Raw(NULL)
    upstream: str | None = None


def preview_routes(
    service: ConsentService, ports: Mapping[str, Ports], issuer: str, guarded: Guarded
) -> list[Route]:
    """Routes below `/admin`. `ports` are those of each upstream, by its name."""

    def chosen(name: str | None) -> Ports:
        found = [each for own, each in ports.items() if name in (None, own)]
        if len(found) != 1:
            raise errors.BadRequest(f"Name one upstream: {', '.join(ports)}.")
        return found[0]

    async def previewed(request: Request) -> Response:
        asked = await read_as(request, _PreviewBody)
        walk = chosen(asked.upstream)
        members = walk.house.membership
        question = drafted(service, members, draft_of(asked.draft), asked.change, asked.viewers)
        return reply(await preview(walk, issuer, question))

    async def compared(request: Request) -> Response:
        asked = await read_as(request, _CompareBody)
        walk = chosen(asked.upstream)
        question = comparison(service, walk.house.membership, asked.first, asked.second, asked.viewers)
        return reply(await preview(walk, issuer, question))

    async def simulated(request: Request) -> Response:
        asked = await read_as(request, _SimulateBody, MAX_RECORD_BYTES)
        path, _, query = asked.request.partition("?")
        given = bytes(asked.record)
        supposed = Supposed(
            f"/{path.removeprefix('/')}".encode(),
            query.encode(),
            asked.token,
            None if given == NULL else given,
        )
        return reply(await simulate(chosen(asked.upstream), supposed))

    return [
        Route("/preview", guarded(previewed), methods=["POST"]),
        Route("/compare", guarded(compared), methods=["POST"]),
        Route("/simulate", guarded(simulated), methods=["POST"]),
    ]
