"""Where an EHR says that it is about to open an app: `POST /auth/launch`, JSON, as the operator.

    {"client", "user", "patient", "encounter", "case", "fhirContext", "intent", "need_patient_banner", "base",
     "launch_uri"}      201 {"launch", "expires_in", "launch_url"}

`client` and `user` (`Practitioner/id`) are needed, `base` where the gateway serves several FHIR bases. The
launch value is opaque, works once, for this client and this user alone, and soon ends. `launch_url` is what
to open, if the client registered a launch address: the one named, or its only one. The EHR shows the
operator's secret, so it is one that speaks for the hospital. With a `case` (`Type/id` of what it begins with)
the tokens are limited to it, and so the user's role has to have such cases. Errors are `{"error": text}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth.approval.asking import Clients
from gateway.auth.operator import guarded, read_as, reply
from gateway.auth.ports import Base, Ports
from gateway.auth.store import launches
from gateway.auth.store.database import digest_of
from gateway.auth.store.launches import Launch
from gateway.core.smart.client import Client
from gateway.core.smart.kinds import CASE_TYPES, USER_TYPES, Wrong, case_root
from gateway.core.values import is_id
from gateway.errors import BadRequest

LAUNCH: Final = "/auth/launch"

_LINE = r"^[ -~]{1,255}$"
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]{1,2000}", re.ASCII)
# SMART App Launch 2.2: these roles are SMART's own, all others are absolute URIs.
_LAUNCH_ROLE: Final = "launch"
# Both are told by themselves, so the list has them only in another role.
_IN_CONTEXT: Final = ("Patient", "Encounter")

Text = Annotated[str, Meta(pattern=_LINE)]


class _About(msgspec.Struct, forbid_unknown_fields=True, rename={"kind": "type"}):
    """One of the `fhirContext` (SMART App Launch 2.2): what the app is opened about, beside the patient."""

    reference: Text | UnsetType = UNSET
    canonical: Text | UnsetType = UNSET
    identifier: dict[str, str] | UnsetType = UNSET
    kind: Text | UnsetType = UNSET
    role: Text | UnsetType = UNSET


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    client: Text
    user: Text
    patient: Text | None = None
    encounter: Text | None = None
    case: Text | None = None
    fhirContext: Annotated[list[_About], Meta(max_length=50)] = []
    intent: Text | None = None
    need_patient_banner: bool = True
    base: Text | None = None
    launch_uri: Text | None = None


def launch_routes(ports: Ports, clients: Clients, secret: str) -> list[Route]:
    """`secret` is the operator's."""

    async def launch(request: Request) -> Response:
        return reply(await _launch(ports, clients, await read_as(request, _Body)), 201)

    return [Route(LAUNCH, guarded(launch, secret), methods=["POST"])]


async def _launch(ports: Ports, clients: Clients, body: _Body) -> dict[str, object]:
    client = await clients.get(body.client)
    if client is None:
        raise BadRequest("There is no such client.")
    base = _base(body, ports.bases)
    _check(body, base)
    address = _launch_uri(body, client)
    now_s, value = ports.now_ms() // 1000, ports.new_secret()
    made = Launch(
        digest=digest_of(value),
        client=client.id,
        base=base.url,
        user=body.user,
        patient=body.patient,
        encounter=body.encounter,
        context=json.dumps(_context(body), separators=(",", ":")),
        created_s=now_s,
        exp_s=now_s + launches.LASTS_S,
    )

    def work(session: Session) -> None:
        if not launches.has_user(session, body.user):
            raise BadRequest("There is no person with this user who can log in here.")
        launches.add_launch(session, made)

    await ports.database.run(work)
    return {"launch": value, "expires_in": launches.LASTS_S, **_launch_url(address, base, value)}


def _base(body: _Body, bases: Mapping[str, Base]) -> Base:
    named = body.base.removesuffix("/") if body.base is not None else None
    if named is None and len(bases) == 1:
        return next(iter(bases.values()))
    if named is None or named not in bases:
        raise BadRequest("The base is the address of a FHIR server here, and needed where there are several.")
    return bases[named]


def _check(body: _Body, base: Base) -> None:
    kind, _, ident = body.user.partition("/")
    if kind not in USER_TYPES or not is_id(ident):
        raise BadRequest(f"The user is Type/id, of one of {', '.join(USER_TYPES)}.")
    for name, value in (("patient", body.patient), ("encounter", body.encounter)):
        if value is not None and not is_id(value):
            raise BadRequest(f"The {name} is a FHIR id: letters, digits, '-' and '.'.")
    if body.encounter is not None and body.patient is None:
        raise BadRequest("An encounter is a patient's, so the patient is needed with it.")
    if body.case is not None:
        _check_case(body.case, body, base)
    for about in body.fhirContext:
        _check_about(about, base)


def _check_case(case: str, body: _Body, base: Base) -> None:
    try:
        root = case_root(case)
    except Wrong as wrong:
        raise BadRequest(f"The case is Type/id, of one of {', '.join(CASE_TYPES)}.") from wrong
    if root.type not in base.types:
        raise BadRequest("The case begins with a record of a type that the base does not have.")
    if body.patient is None:
        raise BadRequest("A case is a patient's, so the patient is needed with it.")
    if root.type == "Encounter" and body.encounter not in (None, root.id):
        raise BadRequest("The case begins with another encounter than the one that is named.")


def _check_about(about: _About, base: Base) -> None:
    if sum(named is not UNSET for named in (about.reference, about.canonical, about.identifier)) != 1:
        raise BadRequest("Each fhirContext has one of reference, canonical and identifier.")
    kind = about.kind
    if isinstance(about.reference, str):
        kind, _, ident = about.reference.partition("/")
        if kind not in base.types or not is_id(ident):
            raise BadRequest("The reference of a fhirContext is Type/id.")
        if about.kind not in (UNSET, kind):
            raise BadRequest("The type of a fhirContext is that of its reference.")
    if isinstance(about.canonical, str) and not about.canonical.startswith(("http://", "https://")):
        raise BadRequest("The canonical of a fhirContext is an http or https address.")
    if isinstance(kind, str) and kind not in base.types:
        raise BadRequest("The type of a fhirContext is one of FHIR.")
    role = _LAUNCH_ROLE if about.role is UNSET else about.role
    if role == _LAUNCH_ROLE and kind in _IN_CONTEXT:
        raise BadRequest("A Patient or Encounter is in fhirContext only with a role other than launch.")
    if role != _LAUNCH_ROLE and _ABSOLUTE.fullmatch(str(role)) is None:
        raise BadRequest("The role of a fhirContext is launch, or an absolute URI.")


def _context(body: _Body) -> dict[str, object]:
    """What the token response says of the launch, beside patient and encounter."""
    return {
        **({"case": body.case} if body.case is not None else {}),
        "need_patient_banner": body.need_patient_banner,
        **({"fhirContext": msgspec.to_builtins(body.fhirContext)} if body.fhirContext else {}),
        **({"intent": body.intent} if body.intent is not None else {}),
    }


def _launch_uri(body: _Body, client: Client) -> str | None:
    if body.launch_uri is None:
        return client.launch_uris[0] if len(client.launch_uris) == 1 else None
    if body.launch_uri not in client.launch_uris:
        raise BadRequest("The launch_uri is not one that the client registered.")
    return body.launch_uri


def _launch_url(address: str | None, base: Base, value: str) -> dict[str, str]:
    """`iss` is the FHIR base byte for byte (SMART App Launch 2.2, EHR launch)."""
    if address is None:
        return {}
    opened = urlencode({"iss": base.url, "launch": value})
    return {"launch_url": f"{address}{'&' if '?' in address else '?'}{opened}"}
