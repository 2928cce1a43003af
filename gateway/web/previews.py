"""The operator API for what consents would do, below `/admin`: asked before anything is granted.

    POST /admin/preview   {"draft","change","as","upstream"}       200 who would see what, and why
    POST /admin/compare   {"first","second","as","upstream"}       200 the same, of two consents
    POST /admin/simulate  {"request","token","record","upstream"}  200 which rule decides a request

`as` lists viewers, each a list of identities; `upstream` is needed if there are several. A preview reads
the patient's records, so it is recorded; a simulation asks nothing and is not.
In the place of `draft` a preview takes a FHIR Consent as `fhir`, with `fhirVersion` and `supersede`; what is
wrong with that is answered as 422 {"error","problems"}, each problem with its `place` and `text`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import errors
from gateway.consents.intake import ConsentRefused
from gateway.consents.service import ConsentService
from gateway.core.consent.membership import Membership
from gateway.ports import Ports
from gateway.preview import Question, comparison, drafted, preview, read_from
from gateway.simulate import Supposed, simulate
from gateway.web.admin import draft_of
from gateway.web.admin_fhir import MAX_BODY_BYTES, VERSIONS, FhirConsents
from gateway.web.operator import Guarded, read_as, reply

MAX_RECORD_BYTES = 1024 * 1024
NULL = b"null"


class _PreviewBody(
    msgspec.Struct, forbid_unknown_fields=True, rename={"viewers": "as", "version": "fhirVersion"}
):
    draft: dict[str, object] | None = None
    fhir: msgspec.Raw = msgspec.Raw(NULL)
    version: str | None = None
    supersede: list[str] = []
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
    service: ConsentService, fhir: FhirConsents, ports: Mapping[str, Ports], issuer: str, guarded: Guarded
) -> list[Route]:
    """Routes below `/admin`. `ports` are those of each upstream, by its name."""

    async def of_fhir(asked: _PreviewBody, members: Membership) -> Question:
        release = fhir.usual if asked.version is None else VERSIONS.get(asked.version)
        if release is None:
            raise errors.BadRequest(f"Say in fhirVersion which release is meant: {', '.join(VERSIONS)}.")
        found = await fhir.intake.draft(bytes(asked.fhir), release, asked.change, asked.supersede)
        return read_from(service, members, found, asked.change, asked.viewers)

    def chosen(name: str | None) -> Ports:
        found = [each for own, each in ports.items() if name in (None, own)]
        if len(found) != 1:
            raise errors.BadRequest(f"Name one upstream: {', '.join(ports)}.")
        return found[0]

    async def previewed(request: Request) -> Response:
        asked = await read_as(request, _PreviewBody, MAX_BODY_BYTES)
        walk, is_fhir = chosen(asked.upstream), bytes(asked.fhir) != NULL
        members = walk.house.membership
        if is_fhir == (asked.draft is not None):
            raise errors.BadRequest("A preview is of a draft or of a FHIR Consent: one of them is given.")
        if asked.draft is None:
            try:
                question = await of_fhir(asked, members)
            except ConsentRefused as error:
                problems = [{"place": problem.place, "text": problem.text} for problem in error.problems]
                return reply({"error": error.text, "problems": problems}, error.status)
        elif asked.version is not None or asked.supersede:
            raise errors.BadRequest("fhirVersion and supersede go with a FHIR Consent.")
        else:
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
