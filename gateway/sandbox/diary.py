"""The demo's app: it asks a person for their records, and shows whatever the gateway answers.

A public client of SMART App Launch 2.2 on a server of its own: it finds the addresses, sends the browser off
with PKCE, takes the code and reads with the token. It keeps everything in memory, and shows what is refused
as plainly as what is given. It is there to be looked at, and no model for an app with many people.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

NAME: Final = "Health Diary"
CALLBACK: Final = "/callback"
SCOPES: Final = (
    "launch/patient",
    "offline_access",
    "patient/Patient.rs",
    "patient/Observation.rs",
    "patient/Condition.rs",
    "patient/MedicationRequest.rs",
)
SHOWN: Final = {
    "Patient": "Who you are",
    "Observation": "Measurements",
    "Condition": "Conditions",
    "MedicationRequest": "Prescriptions",
}
MOST_LINES: Final = 8
MOST_VISITS: Final = 100
COOKIE: Final = "diary"
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name}</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 1.05rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1.25rem; }}
.button {{ display: inline-block; padding: .6rem 1rem; border: 2px solid; border-radius: .5rem; }}
li, p {{ overflow-wrap: anywhere; }}
.status {{ opacity: .75; font-size: .9rem; }}
</style>
</head>
<body>
<h1>{name}</h1>
{body}
</body>
</html>
"""


@dataclass(slots=True)
class _Visit:
    """One browser: the launch that is under way, and the token that it has."""

    state: str = ""
    verifier: str = field(default="", repr=False)
    token: str | None = field(default=None, repr=False)
    told: str = ""


@dataclass(frozen=True, slots=True)
class _Diary:
    """`fhir` is the gateway's FHIR base, `manage` its page for people, `url` our own address without closing
    slash."""

    fhir: str
    manage: str
    url: str
    client: str
    visits: dict[str, _Visit] = field(default_factory=dict)

    async def home(self, request: Request) -> Response:
        visit = self.visits.get(request.cookies.get(COOKIE, ""))
        if visit is None or visit.token is None:
            told = "" if visit is None else _paragraph(visit.told)
            return _page(f"{told}<p>It shows you your records, if you let it.</p>{_link('Connect')}")
        parts = [await self._part(kind, title, visit.token) for kind, title in SHOWN.items()]
        manage = f'<a href="{escape(self.manage)}">withdraw it at the hospital</a>'
        after = f"<p>You can {manage}; then load this page again.</p>{_link('Connect again')}"
        return _page("".join(parts) + after)

    async def connect(self, _: Request) -> Response:
        """Sends the browser to where people are asked (RFC 6749 section 4.1.1, RFC 7636)."""
        name, visit = secrets.token_urlsafe(32), _Visit(secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        if len(self.visits) >= MOST_VISITS:
            self.visits.clear()
        self.visits[name] = visit
        challenge = base64.urlsafe_b64encode(hashlib.sha256(visit.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.url + CALLBACK,
            "scope": " ".join(SCOPES),
            "state": visit.state,
            "aud": self.fhir,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = (await self._found())["authorization_endpoint"]
        answer = RedirectResponse(f"{address}?{urlencode(asked)}", 303, headers=HEADERS)
        answer.set_cookie(COOKIE, name, httponly=True, samesite="lax")
        return answer

    async def callback(self, request: Request) -> Response:
        """Takes the answer, if it is to what this browser was sent off with."""
        visit, query = self.visits.get(request.cookies.get(COOKIE, "")), request.query_params
        if visit is None or not visit.state or query.get("state") != visit.state:
            return _page(_paragraph("This answer is to no question of ours.") + _link("Connect"), 400)
        visit.state = ""
        if "code" in query:
            visit.token = await self._exchanged(visit, query["code"])
        else:
            visit.told = "You kept it to yourself: " + query.get("error_description", query.get("error", ""))
        return RedirectResponse("/", 303, headers=HEADERS)

    async def _exchanged(self, visit: _Visit, code: str) -> str | None:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.url + CALLBACK,
            "code_verifier": visit.verifier,
            "client_id": self.client,
        }
        address = (await self._found())["token_endpoint"]
        async with _http() as http:
            answer = await http.post(address, data=form)
        told = answer.json()
        visit.told = "" if answer.status_code == 200 else f"There is no token: {told.get('error')}."
        token: str | None = told.get("access_token")
        return token

    async def _found(self) -> Mapping[str, Any]:
        async with _http() as http:
            found: Mapping[str, Any] = (await http.get(f"{self.fhir}/.well-known/smart-configuration")).json()
        return found

    async def _part(self, kind: str, title: str, token: str) -> str:
        async with _http() as http:
            bearer = {"Authorization": f"Bearer {token}"}
            answer = await http.get(f"{self.fhir}/{kind}?_count={MOST_LINES}", headers=bearer)
        told = json.loads(answer.text, parse_float=str)  # 7.10 stays 7.10
        lines = "".join(f"<li>{escape(line)}</li>" for line in _lines(told)) or "<li>Nothing.</li>"
        status = f"{answer.status_code} {answer.reason_phrase}"
        return f'<h2>{title}</h2><p class="status">GET {kind}: {status}</p><ul>{lines}</ul>'


def diary_app(*, fhir: str, manage: str, url: str, client: str) -> Starlette:
    """The app, registered at the gateway as the public `client` with `url` + CALLBACK."""
    diary = _Diary(fhir, manage, url, client)
    return Starlette(
        routes=[
            Route("/", diary.home, methods=["GET"]),
            Route("/connect", diary.connect, methods=["GET"]),
            Route(CALLBACK, diary.callback, methods=["GET"]),
        ]
    )


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=30)


def _page(body: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(name=NAME, body=body), status, headers=HEADERS)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _link(text: str) -> str:
    return f'<p><a class="button" href="/connect">{text}</a></p>'


def _lines(told: Mapping[str, Any]) -> Iterable[str]:
    """What is in an answer, in a word or two each."""
    if told.get("resourceType") == "OperationOutcome":
        return [issue.get("diagnostics", issue["code"]) for issue in told["issue"]]
    found = [entry["resource"] for entry in told.get("entry", ()) if "resource" in entry]
    return [_said(resource) for resource in found[:MOST_LINES]]


def _said(resource: Mapping[str, Any]) -> str:
    match resource:
        case {"name": [{"family": str(family), "given": [*given]}, *_]}:
            return " ".join(map(str, [*given, family]))
        case {"code": concept} | {"medicationCodeableConcept": concept}:
            value = resource.get("valueQuantity", {})
            amount = f": {value['value']} {value.get('unit', '')}" if "value" in value else ""
            return _called(concept) + amount
        case _:
            return str(resource.get("id"))


def _called(concept: Mapping[str, Any]) -> str:
    codings = concept.get("coding", [{}])
    return str(concept.get("text") or codings[0].get("display") or codings[0].get("code"))
