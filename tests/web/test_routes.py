"""Which application answers: by the undecoded path, FHIR bases first."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from gateway.web.routes import Dispatcher


class Named:
    """An application that says who it is."""

    def __init__(self, name: str, said: list[str]) -> None:
        self._name, self._said = name, said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._said.append(self._name)


HOST = b"gw.example"


async def answered(path: bytes, kind: str = "http", host: bytes = HOST) -> list[str]:
    said: list[str] = []
    dispatcher = Dispatcher(
        {"/fhir": Named("fhir", said), "/r5": Named("r5", said)},
        Named("rest", said),
        {HOST},
        ["/fhir/.well-known/smart-configuration", "/r5/.well-known/smart-configuration"],
    )

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            said.append(str(message["status"]))

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    asked = {"method": "GET", "http_version": "1.1", "query_string": b"", "headers": [(b"host", host)]}
    await dispatcher({"type": kind, "raw_path": path, **asked}, receive, send)
    return said


@pytest.mark.parametrize(
    ("path", "who"),
    [
        (b"/fhir", "fhir"),
        (b"/fhir/Patient/x", "fhir"),
        (b"/fhir/%2e%2e/ledger", "fhir"),
        (b"/fhirx", "rest"),
        (b"/fhi", "rest"),
        (b"/FHIR/Patient/x", "rest"),
        (b"/ledger/checkpoint", "rest"),
        (b"//fhir/x", "rest"),
        (b"/%66hir/Patient/x", "404"),
        (b"/ledger/%2e%2e/fhir", "404"),
        (b"*", "400"),
        (b"/r5", "r5"),
        (b"/fhir/.well-known/smart-configuration", "rest"),
        (b"/r5/.well-known/smart-configuration", "rest"),
        (b"/fhir/.well-known/smart-configuration/", "fhir"),
        (b"/fhir/.well-known/smart-configuratio", "fhir"),
        (b"/fhir/.well-known/", "fhir"),
        (b"/fhir/.well-known/smart%2Dconfiguration", "fhir"),
        (b"/fhir/.Well-Known/smart-configuration", "fhir"),
    ],
)
async def test_dispatch(path: bytes, who: str) -> None:
    assert await answered(path) == [who]


async def test_what_is_beside_fhir_is_for_our_hosts_too() -> None:
    for path in (b"/ledger/checkpoint", b"/fhir/.well-known/smart-configuration"):
        assert await answered(path, host=b"evil.example") == ["421"]


async def test_the_lifespan_is_the_rests() -> None:
    assert await answered(b"", "lifespan") == ["rest"]


async def test_web_sockets_go_the_same_way() -> None:
    assert await answered(b"/fhir/x", "websocket") == ["fhir"]
