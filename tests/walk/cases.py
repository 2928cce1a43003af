"""Requests as data: read from JSON files, made by a gateway, compared with what must and must not come.

A file has `about`, the usual `token`, what must `never` come, and `cases`. A case has an `id`, the leaks that
it is about (`covers`), `why`, a `token` over the usual one, a `request` and what to `expect`:

    token     scopes, patient, claims (over the usual; null takes out), jwt: how it is forged; or none: true
    request   method, path (the request target), headers, body (text as it is, else JSON); raw: on a socket
    upstream  an answer of the record server, or several by path, in place of its records
    expect    statuses, must_contain, must_not_contain, upstream_calls, and same_as: a request target whose
              answer is the same byte for byte, but for what differs from answer to answer

In a path `{v1:Type/id}` stands for the id of the record's first version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.gateway import Gateway
from tests.support.house import issuer_key
from tests.tokens import forge

WALKS = Path(__file__).resolve().parents[2] / "fixtures" / "walks"
DIFFERS = {"ledger-entry", "date"}


@dataclass(frozen=True, slots=True)
class Case:
    """One request and its expected answer; members as in the file."""

    id: str
    why: str
    token: Mapping[str, Any]
    request: Mapping[str, Any]
    expect: Mapping[str, Any]
    covers: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    raw: bool = False
    upstream: Mapping[str, Any] | None = field(default=None, repr=False)
    grants: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.id


def read_cases(folder: str) -> Iterator[Case]:
    """The cases of all files in `fixtures/walks/<folder>`."""
    for path in sorted((WALKS / folder).glob("*.json")):
        yield from cases_of(json.loads(path.read_text()), path.stem)


def cases_of(table: Mapping[str, Any], name: str) -> Iterator[Case]:
    for row in table["cases"]:
        usual = table.get("token", {})
        yield Case(
            **{
                **row,
                "id": f"{name}:{row['id']}",
                "why": row.get("why", ""),
                "token": {**usual, **row.get("token", {})},
                "covers": tuple(row.get("covers", ())),
                "never": tuple(table.get("never", ())),
                "grants": tuple(row.get("grants", ())),
            }
        )


def ask(gateway: Gateway, case: Case, target: str | None = None) -> httpx.Response:
    """The gateway's answer to the case's request, or to the same request for `target`."""
    request = case.request
    target = request["path"] if target is None else target
    headers = request.get("headers", {})
    token = token_of(gateway, case.token)
    body = content_of(request)
    if case.raw:
        pairs = headers if isinstance(headers, list) else list(headers.items())
        return gateway.raw(request["method"], target, token, headers=pairs, content=body)
    return gateway.send(request["method"], target, token, headers=headers, content=body or None)


def content_of(request: Mapping[str, Any]) -> bytes:
    body = request.get("body", "")
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def token_of(gateway: Gateway, token: Mapping[str, Any]) -> str | None:
    if token.get("none"):
        return None
    claims = dict(token.get("claims", {}))
    if "fhirUser" in token:
        claims["fhirUser"] = token["fhirUser"]
    usual = gateway.claims(token["scopes"], token.get("patient"))
    whole = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return forged(whole, token.get("jwt", {}))


def forged(claims: Mapping[str, object], how: Mapping[str, Any]) -> str:
    """A token of these claims as its issuer makes it, or as it never did, if `how` says so.

    `alg` none or HS256 (keyed with the public key); `header` members over the usual ones; `signed_by`
    another key; `signature` to put in place of the right one; `payload` members to write twice; `whole`
    instead of everything; `append` after it.
    """
    if "whole" in how:
        return str(how["whole"])
    algorithm = how.get("alg", "ES256")
    header = {"typ": "at+jwt", "alg": algorithm, "kid": "key-1", **how.get("header", {})}
    if how.get("own_key"):
        header["jwk"] = forge.public_jwk(forge.rsa_key())
    payload = json.dumps(claims)
    if "twice" in how:
        payload = payload[:-1] + "," + json.dumps(how["twice"])[1:]
    text = f"{forge.b64(json.dumps(header).encode())}.{forge.b64(payload.encode())}"
    return f"{text}.{_signature(text, algorithm, how)}{how.get('append', '')}"


def _signature(text: str, algorithm: str, how: Mapping[str, Any]) -> str:
    import hashlib
    import hmac

    if "signature" in how:
        return str(how["signature"])
    if algorithm.upper().startswith("HS"):
        return forge.b64(hmac.new(forge.pem(issuer_key()), text.encode(), hashlib.sha256).digest())
    if algorithm.lower() == "none":
        return ""
    key = forge.rsa_key() if algorithm.startswith("RS") else issuer_key()
    if how.get("signed_by") == "another":
        key = forge.private_key("ES256", 1)
    return forge.b64(forge.sign(key, algorithm, text.encode()))


# --- Comparing -------------------------------------------------------------------------------------


def check(case: Case, response: httpx.Response) -> None:
    """Whether the answer is one of those expected, and holds what it must and nothing that it must not."""
    expect, text = case.expect, spoken(response)
    assert response.status_code in expect["statuses"], (case.why, text[:600])
    for part in expect.get("must_contain", ()):
        assert part in text, (case.why, part, text[:600])
    for part in (*case.never, *expect.get("must_not_contain", ())):
        assert part not in text, (case.why, part, text[:3000])


def spoken(response: httpx.Response) -> str:
    """Everything that an answer says: status line, headers, body as sent, and body as minified JSON."""
    lines = [
        str(response.status_code),
        *(f"{name}: {value}" for name, value in response.headers.multi_items()),
    ]
    try:
        minified = json.dumps(json.loads(response.content), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        minified = ""
    return "\n".join([*lines, response.content.decode("utf-8", "replace"), minified])


def essence(response: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """What two answers have in common if nobody can tell them apart."""
    headers = [(n, v) for n, v in response.headers.multi_items() if n not in DIFFERS]
    return response.status_code, sorted(headers), response.content


_VERSION = re.compile(r"\{v1:([A-Za-z]+/[A-Za-z0-9.\-]+)\}")


def versions_in(target: str) -> list[str]:
    """The records of which a request target wants the first version."""
    return _VERSION.findall(target)


def with_versions(target: str, first: Mapping[str, str]) -> str:
    return _VERSION.sub(lambda found: first[found[1]], target)
