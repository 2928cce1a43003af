"""Ways in which a port or a record server fails, and the records with `CANARY`, which must not come out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from gateway.ports import Ports
from gateway.tokens.pages import PageSealer
from tests.walk.canned import message

TIMEOUT_S = 1


def observation(id: str = "x", patient: str = "pat-a", text: str = "CANARY", **more: Any) -> dict[str, Any]:
    head = {"resourceType": "Observation", "id": id, "meta": {"versionId": "1"}, "status": "final"}
    return {**head, "code": {"text": text}, "subject": {"reference": f"Patient/{patient}"}, **more}


def page(*resources: dict[str, Any], next: str | None = None) -> dict[str, Any]:
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    links = [] if next is None else [{"relation": "next", "url": next}]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


SPEAKING = observation(hasMember=[{"reference": "Observation/y", "display": "CANARY"}])

READ, VREAD, SEARCH = "/fhir/Observation/x", "/fhir/Observation/x/_history/1", "/fhir/Observation?code=1"


@dataclass
class Faults:
    """Stands in front of the ports; `at` holds what happens in their place."""

    at: dict[str, Callable[..., Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def ports(self, old: Ports) -> Ports:
        return replace(
            old,
            verify=self._awaited("verify", old.verify),
            consents=_Consents(self, old.consents),
            upstream=_Transport(self, old.upstream),
            record=self._awaited("record", old.record),
            pages=_Pages(self, old.pages),
            facts_of=lambda raw: self.run("facts_of", old.facts_of, raw),
            new_id=lambda: self.run("new_id", old.new_id),
        )

    def run(self, name: str, right: Callable[..., Any], *args: Any) -> Any:
        self.calls.append(name)
        return self.at[name](right, *args) if name in self.at else right(*args)

    def _awaited(self, name: str, right: Callable[..., Any]) -> Callable[..., Any]:
        async def port(*args: Any) -> Any:
            found = self.run(name, right, *args)
            return await found if asyncio.iscoroutine(found) else found

        return port


@dataclass
class _Consents:
    faults: Faults
    right: Any

    def at_head(self) -> Any:
        return self.faults.run("at_head", self.right.at_head)


@dataclass
class _Transport:
    faults: Faults
    right: Any

    async def fetch(self, ask: Any) -> Any:
        found = self.faults.run("fetch", self.right.fetch, ask)
        return await found if asyncio.iscoroutine(found) else found


class _Pages(PageSealer):
    def __init__(self, faults: Faults, right: PageSealer) -> None:
        self._faults, self._right = faults, right

    def seal(self, page: Any, now_s: int) -> Any:
        return self._faults.run("seal", self._right.seal, page, now_s)

    def open(self, sealed: str, now_s: int) -> Any:
        return self._faults.run("open", self._right.open, sealed, now_s)


# --- Ports ---------------------------------------------------------------------------------------------


def raising(error: Exception, call: int = 1) -> Callable[..., Any]:
    """A port that raises at its `call`th call."""
    count = 0

    def port(right: Callable[..., Any], *args: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            raise error
        return right(*args)

    return port


def giving(value: Any, call: int = 1) -> Callable[..., Any]:
    """A port that gives `value` at its `call`th call."""
    count = 0

    def port(right: Callable[..., Any], *args: Any) -> Any:
        nonlocal count
        count += 1
        return value if count == call else right(*args)

    return port


def giving_after(value: Any) -> Callable[..., Any]:
    """A port that does what it should, and then gives `value`."""

    async def port(right: Callable[..., Any], *args: Any) -> Any:
        await right(*args)
        if isinstance(value, Exception):
            raise value
        return value

    return port


# --- The record server ---------------------------------------------------------------------------------


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"


def slow(connection: socket.socket) -> None:
    time.sleep(TIMEOUT_S + 0.3)
    connection.sendall(message(body=observation()))


def dripping(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 500\r\n\r\n")
    for _ in range(30):
        connection.sendall(b" CANARY")
        time.sleep(TIMEOUT_S / 10)


def endless(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b'{"CANARY":"' * 6000
    for _ in range(400):
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))


def saying(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def said(**reply: Any) -> Callable[[socket.socket], None]:
    return saying(message(**reply))


# --- Helpers -------------------------------------------------------------------------------------------


def nothing_came(answer: httpx.Response, status: int) -> None:
    text = answer.text + str(answer.headers)
    assert "CANARY" not in text, text
    assert "Traceback" not in text
    assert answer.status_code == status, text
    assert answer.json()["resourceType"] == "OperationOutcome"
