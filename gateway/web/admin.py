"""The operator API for consents, below `/admin`: granted, changed, withdrawn and shown as JSON.

    POST   /admin/consents               a draft           201 {"id","entry","hash"}
    GET    /admin/consents?patient=ID                      200 {"consents":[...]}
    GET    /admin/consents/{id}                            200 the consent
    PUT    /admin/consents/{id}          a draft           200 {"id","entry","hash"}
    POST   /admin/consents/{id}/revoke   {"reason","stop"} 200 {"id","entry","hash"}

What is refused is refused before anything is recorded. A draft without effect is answered with `supersede`,
the ids of the consents that would have to give way. The first and the third of these addresses take and give
FHIR too: see `admin_fhir`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import fields
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import errors
from gateway.consents.draft import Draft
from gateway.consents.effect import NoEffect
from gateway.consents.service import ConsentService
from gateway.consents.view import consent_json, ref_json
from gateway.core.values import ConsentRef
from gateway.web.admin_fhir import FhirConsents, is_sent, is_wanted
from gateway.web.operator import Guarded, fitting, read_as, reply

# The members of a draft as JSON: lists of texts, dates in RFC 3339. `from` is a word of Python's.
DRAFT: Final = {field.name.removesuffix("_"): field.name for field in fields(Draft)}


class _RevokeBody(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = "operator"
    stop: bool = False


def admin_routes(service: ConsentService, fhir: FhirConsents, guarded: Guarded) -> list[Route]:
    """Routes below `/admin`. Each request sees the consents at the ledger head."""

    async def grant(request: Request) -> Response:
        if is_sent(request):
            return await fhir.grant(request)
        return await _offering(service.grant(await _draft(request)), 201)

    async def change(request: Request) -> Response:
        return await _offering(service.change(request.path_params["id"], await _draft(request)))

    async def revoke(request: Request) -> Response:
        asked = await read_as(request, _RevokeBody)
        done = await service.revoke(request.path_params["id"], asked.reason, stop=asked.stop)
        return reply(ref_json(done))

    async def show(request: Request) -> Response:
        if is_wanted(request):
            return await fhir.show(request)
        return reply(consent_json(service.show(request.path_params["id"])))

    async def listed(request: Request) -> Response:
        patients = request.query_params.getlist("patient")
        if len(patients) != 1 or len(request.query_params) != 1:
            raise errors.BadRequest("Consents are listed for one patient: ?patient=ID.")
        return reply({"consents": [consent_json(c) for c in service.of_patient(patients[0])]})

    return [
        Route("/consents", guarded(grant), methods=["POST"]),
        Route("/consents", guarded(listed), methods=["GET"]),
        Route("/consents/{id}", guarded(show), methods=["GET"]),
        Route("/consents/{id}", guarded(change), methods=["PUT"]),
        Route("/consents/{id}/revoke", guarded(revoke), methods=["POST"]),
    ]


async def _offering(done: Awaitable[ConsentRef], status: int = 200) -> Response:
    """The reference of what was recorded, or what could be superseded for it to have an effect."""
    try:
        return reply(ref_json(await done), status)
    except NoEffect as error:
        return reply({"error": error.text, "supersede": [*error.supersede]}, error.status)


def draft_of(members: Mapping[str, object]) -> Draft:
    """The draft with these members. Raises BadRequest for one that it does not have, or that does not fit."""
    if unknown := sorted(members.keys() - DRAFT):
        raise errors.BadRequest(f"The body does not fit: a draft has no member {unknown[0]!r}.")
    return fitting({DRAFT[name]: value for name, value in members.items()}, Draft)


async def _draft(request: Request) -> Draft:
    return draft_of(await read_as(request, dict[str, object]))
