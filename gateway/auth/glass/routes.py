"""Break-glass for programs that speak for the hospital, with the operator's secret, as JSON:

    POST /auth/break-glass                  {"user", "code", "client", "patient", "reason", "text", "base",
                                             "renews", "jkt"}
                                            201 {"access_token", "token_type", "expires_in", "patient",
                                                 "entry", "hash", "renewable"}
    GET  /auth/break-glass?open=true        200 {"broken": [...]}, without `open` those reviewed too
    POST /auth/break-glass/{entry}/review   {"reviewer", "outcome"}   201 {"entry", "hash"}

An EHR asks its user why, and for the code of their second factor, and passes both on. `reviewer` is the
login name or `Type/id` of an account, of somebody else than the one reviewed. Errors are `{"error": text}`.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.glass.breaking import Breaking, Wish
from gateway.auth.glass.past import cases
from gateway.auth.glass.reviewing import review
from gateway.auth.glass.view import case_json, opened_json
from gateway.auth.operator import guarded, read_as, reply
from gateway.core.canon import Json
from gateway.core.consent.glass import KINDS, Statement
from gateway.errors import NotFound

BREAK_GLASS: Final = "/auth/break-glass"

_ID = Annotated[str, Meta(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]
_LINE = Annotated[str, Meta(pattern=r"^[ -~]{1,255}$")]
_THUMBPRINT = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    user: _LINE
    code: _LINE
    client: _LINE
    patient: _ID
    reason: str
    text: str
    base: str | None = None
    renews: int | None = None
    jkt: _THUMBPRINT | None = None


class _Reviewed(msgspec.Struct, forbid_unknown_fields=True):
    reviewer: _LINE
    outcome: str


def glass_routes(breaking: Breaking, secret: str) -> list[Route]:
    """`secret` is the operator's."""

    async def broken(request: Request) -> Response:
        asked = await read_as(request, _Asked)
        return reply(opened_json(await breaking.break_glass(_wish(asked))), 201)

    async def listed(request: Request) -> Response:
        wanted = request.query_params.get("open") == "true"
        now_s = breaking.ports.now_ms() // 1000
        found: list[Json] = [
            case_json(case, now_s)
            for case in cases(breaking.entries(KINDS, -1))
            if not (wanted and case.review is not None)
        ]
        return reply({"broken": found}, 200)

    async def reviewed(request: Request) -> Response:
        asked = await read_as(request, _Reviewed)
        index = _index(request.path_params["entry"])
        entry, digest = await review(breaking.ports, breaking.entries, index, asked.reviewer, asked.outcome)
        return reply({"entry": entry, "hash": digest}, 201)

    return [
        Route(BREAK_GLASS, guarded(broken, secret), methods=["POST"]),
        Route(BREAK_GLASS, guarded(listed, secret), methods=["GET"]),
        Route(BREAK_GLASS + "/{entry}/review", guarded(reviewed, secret), methods=["POST"]),
    ]


def _wish(asked: _Asked) -> Wish:
    return Wish(
        login=asked.user,
        code=asked.code,
        client=asked.client,
        patient=asked.patient,
        statement=Statement(asked.reason, asked.text),
        base=asked.base,
        renews=asked.renews,
        key=asked.jkt,
    )


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise NotFound("There is no such entry.")
    return int(text)
