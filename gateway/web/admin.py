"""The operator API for consents, below `/admin`: granted, changed, withdrawn and shown as JSON.

    POST   /admin/consents               a draft           201 {"id","entry","hash"}
    GET    /admin/consents?patient=ID                      200 {"consents":[...]}
    GET    /admin/consents/{id}                            200 the consent
    PUT    /admin/consents/{id}          a draft           200 {"id","entry","hash"}
    POST   /admin/consents/{id}/revoke   {"reason","stop"} 200 {"id","entry","hash"}

Operators have credentials of their own: `Authorization: Bearer` with the secret of `operator.key`. A FHIR
access token opens nothing here, and the operator's secret opens no FHIR address. Errors are
`{"error": text}`. What is refused is refused before anything is recorded.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway import errors
from gateway.consents.draft import Draft
from gateway.consents.follow import Follower
from gateway.consents.service import ConsentService
from gateway.consents.view import consent_json, ref_json
from gateway.core.fhir import codec
from gateway.tokens.bearer import bearer_of
from gateway.web.guard import read_body
from gateway.web.notes import Notes

MAX_BODY_BYTES = 64 * 1024

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

# The members of a draft as JSON: lists of texts, dates in RFC 3339. `from` is a word of Python's.
DRAFT: Final = {field.name.removesuffix("_"): field.name for field in fields(Draft)}

log = logging.getLogger("consentry.admin")


class _RevokeBody(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = "operator"
    stop: bool = False


def admin_routes(service: ConsentService, consents: Follower, secret: str) -> list[Route]:
    """Routes below `/admin`. Each request sees the consents at the ledger head."""
    notes = Notes(log)

    async def grant(request: Request) -> Response:
        return _reply(ref_json(await service.grant(await _draft(request))), 201)

    async def change(request: Request) -> Response:
        return _reply(ref_json(await service.change(request.path_params["id"], await _draft(request))))

    async def revoke(request: Request) -> Response:
        asked = await _body(request, _RevokeBody)
        done = await service.revoke(request.path_params["id"], asked.reason, stop=asked.stop)
        return _reply(ref_json(done))

    async def show(request: Request) -> Response:
        return _reply(consent_json(service.show(request.path_params["id"])))

    async def listed(request: Request) -> Response:
        patients = request.query_params.getlist("patient")
        if len(patients) != 1 or len(request.query_params) != 1:
            raise errors.BadRequest("Consents are listed for one patient: ?patient=ID.")
        return _reply({"consents": [consent_json(c) for c in service.of_patient(patients[0])]})

    def guarded(handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                _authorise(request, secret)
                consents.at_head()
                return await handler(request)
            except errors.ConsentryError as error:
                notes.note(error)
                return _reply({"error": error.text}, error.status)

        return handle

    return [
        Route("/consents", guarded(grant), methods=["POST"]),
        Route("/consents", guarded(listed), methods=["GET"]),
        Route("/consents/{id}", guarded(show), methods=["GET"]),
        Route("/consents/{id}", guarded(change), methods=["PUT"]),
        Route("/consents/{id}/revoke", guarded(revoke), methods=["POST"]),
    ]


def _authorise(request: Request, secret: str) -> None:
    given = bearer_of([v for k, v in request.headers.raw if k == b"authorization"])
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise errors.Unauthenticated("The operator's secret is not the right one.")


async def _draft(request: Request) -> Draft:
    given = await _body(request, dict[str, object])
    if unknown := sorted(given.keys() - DRAFT):
        raise errors.BadRequest(f"The body does not fit: a draft has no member {unknown[0]!r}.")
    return _fitting({DRAFT[name]: value for name, value in given.items()}, Draft)


async def _body(request: Request, shape: type[T]) -> T:
    raw = await read_body(request.receive, MAX_BODY_BYTES)
    try:
        codec.parse(raw or b"{}")
        tree = msgspec.json.decode(raw or b"{}")
    except (codec.CodecError, msgspec.DecodeError) as error:
        raise errors.BadRequest("The body is not JSON.") from error
    return _fitting(tree, shape)


def _fitting(tree: object, shape: type[T]) -> T:
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise errors.BadRequest(f"The body does not fit: {error}.") from error


def _reply(body: Any, status: int = 200) -> Response:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})
