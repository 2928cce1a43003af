"""FHIR addresses from a page of a browser: who may read the answer, and what of it (Fetch, CORS protocol)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from gateway import errors
from gateway.auth.clients.registry import Clients, Secrets
from gateway.auth.server import open_database
from gateway.house import auth_database_of, now_ms
from gateway.web.cors import MAX_ORIGIN, nobody, sharing
from tests.auth.desk import CLIENTS, ORIGIN, SECRET
from tests.support.gateway import Gateway, gateway
from tests.support.house import HOST
from tests.upstreams.sandbox import sandbox

EVIL = "https://evil.example"
SEARCH = "/fhir/Observation?status=final"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with sandbox() as upstream, gateway(tmp_path_factory.mktemp("cors"), upstream.base_url) as found:
        asyncio.run(register(found))
        yield found
        found.check_everything()


async def register(running: Gateway) -> None:
    with closing(open_database(auth_database_of(running.house.settings))) as database:
        clients, now_s = Clients(database), now_ms() // 1000
        await clients.add(CLIENTS["public"], "operator", Secrets(), now_s)
        server = replace(CLIENTS["symmetric"], id="server", redirect_uris=("https://server.example/cb",))
        await clients.add(server, "operator", Secrets(SECRET), now_s)


def shared(response: httpx.Response) -> dict[str, str]:
    """The headers of the protocol; a browser's own credentials are in none of them."""
    found = {name: value for name, value in response.headers.items() if name.startswith("access-control-")}
    assert "access-control-allow-credentials" not in found
    return found


def origin_of(response: httpx.Response) -> str | None:
    return shared(response).get("access-control-allow-origin")


# --- Who may read ----------------------------------------------------------------------------------


def test_a_page_of_a_registered_app_reads_the_answer_and_its_receipt(running: Gateway) -> None:
    consent = running.permit()
    answer = running.get(SEARCH, running.token(), Origin=ORIGIN)
    running.revoke(consent["id"])
    assert answer.status_code == 200
    assert origin_of(answer) == ORIGIN
    exposed = shared(answer)["access-control-expose-headers"].split(", ")
    assert {"Ledger-Entry", "ETag", "Location", "WWW-Authenticate"} <= set(exposed)
    assert answer.headers["ledger-entry"]


NOT_REGISTERED = {
    "another site": EVIL,
    "another scheme": ORIGIN.replace("https", "http"),
    "another port": f"{ORIGIN}:8443",
    "the usual port written": f"{ORIGIN}:443",
    "a part of the name": ORIGIN.replace("app.", "pp."),
    "a name below": ORIGIN.replace("app.", "x.app."),
    "a name that goes on": f"{ORIGIN}.evil.example",
    "other case": ORIGIN.upper(),
    "a slash": f"{ORIGIN}/",
    "a client with a secret": "https://server.example",
    "no origin": "null",
    "any": "*",
    "two in one": f"{ORIGIN} {ORIGIN}",
    "too long": ORIGIN + "a" * MAX_ORIGIN,
}


@pytest.mark.parametrize("origin", NOT_REGISTERED.values(), ids=NOT_REGISTERED)
def test_other_pages_read_nothing(running: Gateway, origin: str) -> None:
    assert shared(running.get(SEARCH, running.token(), Origin=origin)) == {}
    assert shared(running.send("OPTIONS", SEARCH, headers=preflight(origin))) == {}


@pytest.mark.parametrize(
    "origins", [[ORIGIN, ORIGIN], [ORIGIN, EVIL], [EVIL, ORIGIN]], ids=["same", "ours first", "ours last"]
)
def test_two_origins_are_none(running: Gateway, origins: Sequence[str]) -> None:
    headers = [("Origin", origin) for origin in origins]
    assert shared(running.raw("GET", SEARCH, running.token(), headers=headers)) == {}


def test_an_origin_that_is_not_ascii_is_none(running: Gateway) -> None:
    answer = running.raw("GET", SEARCH, running.token(), headers=[("Origin", "https://\u00e5pp.example")])
    assert answer.status_code in (200, 403)
    assert shared(answer) == {}


def test_without_an_origin_nothing_is_said(running: Gateway) -> None:
    assert shared(running.get(SEARCH, running.token())) == {}
    assert shared(running.get("/fhir/metadata")) == {}


# --- Errors, refusals, what is public --------------------------------------------------------------

FAILED = {
    "no token": ("GET", SEARCH, False, 401),
    "no consent": ("GET", SEARCH, True, 403),
    "not known": ("GET", "/fhir/Nothing", True, 404),
    "no such parameter": ("GET", "/fhir/Observation?xyzzy=1", True, 400),
    "refused to all": ("POST", "/fhir/Observation", True, 403),
    "no such method": ("TRACE", "/fhir/Observation", True, 405),
}


@pytest.mark.parametrize(("method", "target", "token", "status"), FAILED.values(), ids=FAILED)
def test_a_page_is_told_what_went_wrong(
    running: Gateway, method: str, target: str, token: bool, status: int
) -> None:
    held = running.token() if token else None
    headers = {"Content-Type": "application/fhir+json"}
    for origin, read in ((ORIGIN, ORIGIN), (EVIL, None)):
        answer = running.send(method, target, held, headers={**headers, "Origin": origin})
        assert (answer.status_code, origin_of(answer)) == (status, read)


def test_another_host_is_told_nothing(running: Gateway) -> None:
    answer = running.raw("GET", SEARCH, headers=[("Host", f"x.{HOST}"), ("Origin", ORIGIN)])
    assert (answer.status_code, shared(answer)) == (421, {})


@pytest.mark.parametrize("origin", [ORIGIN, EVIL, "null"])
def test_what_the_gateway_says_of_itself_is_for_every_page(running: Gateway, origin: str) -> None:
    for target in ("/fhir/metadata", "/fhir/.well-known/smart-configuration", "/auth/jwks"):
        answer = running.client.get(target, headers={"Origin": origin})
        assert (answer.status_code, origin_of(answer)) == (200, "*"), target
    assert origin_of(running.get("/fhir/metadata/x", Origin=EVIL)) is None


# --- Preflight -------------------------------------------------------------------------------------


def preflight(origin: str) -> dict[str, str]:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    return {"Origin": origin, **asked}


def test_a_preflight_is_answered_without_a_token(running: Gateway) -> None:
    answer = running.send("OPTIONS", SEARCH, headers=preflight(ORIGIN))
    found = shared(answer)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "ledger-entry" not in answer.headers
    assert found["access-control-allow-origin"] == ORIGIN
    assert found["access-control-allow-methods"] == "GET, HEAD, POST"
    asked = set(found["access-control-allow-headers"].split(", "))
    assert {"Authorization", "Content-Type", "Prefer", "If-None-Match"} <= asked
    assert "*" not in asked


# --- Alone -----------------------------------------------------------------------------------------


async def test_no_origin_is_shared_with_unless_somebody_says_so() -> None:
    assert await sharing(ORIGIN.encode(), nobody, public=False, preflight=False) == []


async def test_what_cannot_be_an_origin_is_not_looked_up() -> None:
    async def fails(_: str) -> bool:
        raise errors.StateUnavailable

    for origin in (b"https://\xe5pp.example", b"https://" + b"a" * MAX_ORIGIN):
        assert await sharing(origin, fails, public=False, preflight=False) == []
    with pytest.raises(errors.StateUnavailable):
        await sharing(ORIGIN.encode(), fails, public=False, preflight=False)
