"""A slow FHIR server with patients without end: whatever id is asked for exists, and says whose it is.

Run as a module it is a process of its own (`tests.upstreams.base.Process`). Every resource of patient `p`
carries the marker `of:p`, so an answer that holds another patient's marker is one that was mixed up. It
answers after 0 to `slow_ms` milliseconds; `GET /asked` tells how often it was asked for anything else.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.types import Receive, Scope, Send

from tests.support.ports import bound_socket
from tests.upstreams.base import Process

ROOT = Path(__file__).resolve().parents[2]
UPDATED = "2026-03-01T08:00:00Z"
ON_A_PAGE = 12


@contextmanager
def slow_upstream(folder: Path, slow_ms: int = 0) -> Iterator[str]:
    """Its FHIR base."""
    command = [sys.executable, "-m", "tests.endurance.upstream", str(slow_ms)]
    with Process(command, ROOT, folder / "upstream.log", start_s=60) as process:
        yield process.base_url


def marker(patient: str) -> str:
    return f"of:{patient}:"


class _Endless:
    def __init__(self, slow_ms: int) -> None:
        self._slow_s = slow_ms / 1000
        self._dice = random.Random(slow_ms)
        self._asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/asked":
            await _reply(send, 200, self._asked)
            return
        self._asked += 1
        await asyncio.sleep(self._dice.random() * self._slow_s)
        query = (scope["query_string"] or await _body(receive)).decode()
        match scope["path"].removeprefix("/fhir/").split("/"):
            case ["Patient", patient]:
                await _reply(send, 200, _patient(patient))
            case ["Observation"] | ["Observation", "_search"]:
                await _reply(send, 200, _page(query, dict(scope["headers"])[b"host"].decode()))
            case ["Observation", ident]:
                patient, _, number = ident.rpartition(".")
                await _reply(send, 200, _observation(patient, int(number)))
            case _:
                await _reply(send, 404, {"resourceType": "OperationOutcome"})


def _patient(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": patient,
        "meta": {"versionId": "1", "lastUpdated": UPDATED},
        "name": [{"family": marker(patient)}],
    }


def _observation(patient: str, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"{patient}.{number}",
        "meta": {"versionId": "1", "lastUpdated": UPDATED},
        "status": "final",
        "code": {"text": f"{marker(patient)}{number}"},
        "subject": {"reference": f"Patient/{patient}"},
        "valueString": marker(patient) * (number % 50),
    }


def _page(query: str, host: str) -> dict[str, Any]:
    asked = parse_qs(query)
    [patient] = asked.get("patient", []) or asked["subject"]
    patient = patient.removeprefix("Patient/")
    found = [_observation(patient, number) for number in range(ON_A_PAGE)]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": ON_A_PAGE,
        "link": [{"relation": "self", "url": f"http://{host}/fhir/Observation?{query}"}],
        "entry": [
            {
                "fullUrl": f"http://{host}/fhir/Observation/{one['id']}",
                "resource": one,
                "search": {"mode": "match"},
            }
            for one in found
        ],
    }


async def _body(receive: Receive) -> bytes:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


async def _reply(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _main() -> None:
    config = uvicorn.Config(_Endless(int(sys.argv[1])), lifespan="off", log_level="warning", access_log=False)
    server = uvicorn.Server(config)

    def end_with_standard_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    with bound_socket() as listener:
        threading.Thread(target=end_with_standard_input, daemon=True).start()
        listener.listen(1024)
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}/fhir", flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    _main()
