"""Consents as FHIR at the operator API: what a Consent resource that is sent, or asked for, is answered with.

    POST /admin/consents?supersede=ID   Content-Type: application/fhir+json; fhirVersion=5.0
    GET  /admin/consents/{id}           Accept: application/fhir+json; fhirVersion=4.0

Without `fhirVersion` the release is that of the upstreams, if they have the same. Answers are a Consent or an
OperationOutcome: every problem with its place, and in a refusal for want of effect what could be superseded.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway import errors
from gateway.consents.effect import NoEffect
from gateway.consents.intake import ConsentIntake, ConsentRefused, DoesNotFit, Taken
from gateway.core.consent.fhir.element import Problem
from gateway.core.fhir.catalogue import Release
from gateway.core.values import is_id
from gateway.web.guard import read_body

FHIR_JSON: Final = "application/fhir+json"
VERSIONS: Final[dict[str, Release]] = {"4.0": "R4", "4.3": "R4B", "5.0": "R5"}
MAX_BODY_BYTES: Final = 1024 * 1024  # a Consent may hold its signed paper as an attachment

Issue = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FhirConsents:
    """`usual` is the release of all upstreams, None if they differ."""

    intake: ConsentIntake
    usual: Release | None

    async def grant(self, request: Request) -> Response:
        """The answer to a POST of a Consent resource."""

        async def work() -> Response:
            release = self._release(_parameters(request.headers["content-type"]))
            if release is None:
                raise errors.UnsupportedMediaType(_which("Content-Type"))
            unknown = request.query_params.keys() - {"supersede"}
            supersede = request.query_params.getlist("supersede")
            if unknown or not all(map(is_id, supersede)):
                raise errors.BadRequest("A Consent is sent with ?supersede=ID, or without parameters.")
            raw = await read_body(request.receive, MAX_BODY_BYTES)
            return _recorded(await self.intake.grant(raw, release, supersede))

        return await _answered(work)

    async def show(self, request: Request) -> Response:
        """The answer to a GET that asks for a Consent resource."""

        async def work() -> Response:
            release = self._release(_accepted(request) or {})
            if release is None:
                raise errors.NotAcceptable(_which("Accept"))
            return _fhir(self.intake.show(request.path_params["id"], release), release=release)

        return await _answered(work)

    def _release(self, parameters: dict[str, str]) -> Release | None:
        """The release that is named, or else the usual one; None for one that there is not."""
        if parameters.keys() - {"fhirversion", "charset", "q"}:
            return None
        if parameters.get("charset", "utf-8").lower() != "utf-8":
            return None
        named = parameters.get("fhirversion")
        return self.usual if named is None else VERSIONS.get(named)


def is_sent(request: Request) -> bool:
    """Whether the body is a FHIR resource."""
    return _type(request.headers.get("content-type", "")) == FHIR_JSON


def is_wanted(request: Request) -> bool:
    """Whether FHIR is what the client would rather have than our own JSON."""
    return _accepted(request) is not None


# --- Media types (RFC 9110 sections 8.3.1 and 12.5.1) ----------------------------------------------


def _accepted(request: Request) -> dict[str, str] | None:
    """The parameters of the range for FHIR, if that is the first of the best ones; None if another is."""
    ranges = [part for line in request.headers.getlist("accept") for part in line.split(",") if part.strip()]
    best = max(ranges, key=_weight, default="")
    return _parameters(best) if _type(best) == FHIR_JSON and _weight(best) else None


def _weight(media_range: str) -> float:
    try:
        return float(_parameters(media_range).get("q", "1"))
    except ValueError:
        return 0


def _type(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _parameters(media_type: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in media_type.split(";")[1:] if part.strip())
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _which(header: str) -> str:
    return f"Say in {header} which release of FHIR is meant: {FHIR_JSON}; fhirVersion={', '.join(VERSIONS)}."


# --- Answers ---------------------------------------------------------------------------------------


async def _answered(work: Callable[[], Awaitable[Response]]) -> Response:
    """What `work` answers, or the OperationOutcome of a refusal; what is our own fault passes through."""
    try:
        return await work()
    except errors.ConsentryError as error:
        if error.status >= 500:
            raise
        return _fhir(_outcome([*_issues(error)]), error.status)


def _issues(error: errors.ConsentryError) -> Iterator[Issue]:
    match error:
        case ConsentRefused() | DoesNotFit():
            for problem in error.problems:
                yield _issue("error", error.code, problem)
        case NoEffect():
            yield {"severity": "error", "code": error.code, "diagnostics": error.text}
            for consent_id in error.supersede:
                offer = f"Send it again with ?supersede={consent_id} to put that consent out of force."
                yield {"severity": "information", "code": "informational", "diagnostics": offer}
        case _:
            yield {"severity": "error", "code": error.code, "diagnostics": error.text}


def _recorded(taken: Taken) -> Response:
    ref = taken.ref
    text = f"Recorded as consent {ref.id}: ledger entry {ref.entry}, hash {ref.hash}."
    done = {"severity": "information", "code": "informational", "diagnostics": text}
    warnings = [_issue("warning", "informational", warning) for warning in taken.warnings]
    response = _fhir(_outcome([done, *warnings]), 201)
    response.headers["Location"] = f"/admin/consents/{ref.id}"
    return response


def _issue(severity: str, code: str, problem: Problem) -> Issue:
    issue: Issue = {"severity": severity, "code": code, "diagnostics": str(problem)}
    # The places of what does not fit are nodes of a rule, which are no FHIRPaths.
    return {**issue, "expression": [problem.place]} if problem.place.startswith("Consent") else issue


def _outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def _fhir(tree: dict[str, Any], status: int = 200, release: Release | None = None) -> Response:
    version = next((f"; fhirVersion={name}" for name, one in VERSIONS.items() if one == release), "")
    body = json.dumps(tree, ensure_ascii=False).encode()
    return Response(body, status, {"Cache-Control": "no-store"}, media_type=FHIR_JSON + version)
