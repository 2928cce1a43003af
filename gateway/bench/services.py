"""Tokens of backend services: the whole of a token request inside this process, with its real databases.

Each request proves itself by an assertion of its own (ES384), which is signed beforehand: that is the
client's work. Ours is to verify it, to use it up durably, to narrow the scope, to record the token durably,
and to sign it (ES256).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import uvloop
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message

from gateway import mapping
from gateway.auth.clients.registry import TABLES, Clients, Secrets
from gateway.auth.ports import Base, Ports
from gateway.auth.store.database import Database
from gateway.auth.tokens.token import TOKEN, token_routes
from gateway.bench.figures import Tick, median_of, percentile, quiet_collector
from gateway.bench.house import CLIENT, BenchHouse, make_house
from gateway.bench.options import Options
from gateway.bench.report import Cell, Column, Table
from gateway.bench.walk import Walk, open_walk
from gateway.core.canon import b64url
from gateway.core.smart.assertion import ASSERTION_TYPE
from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import read_keys
from gateway.entropy import random_bytes
from gateway.house import new_id, now_ms

WAITERS: Final = {1: 200, 32: 1000}
"""How many tokens are asked for in one turn by so many callers."""
SCOPE: Final = "system/*.rs"
ALGORITHM: Final = "ES384"
HEADERS: Final = [(b"content-type", b"application/x-www-form-urlencoded")]

COLUMNS: Final = (
    Column("callers", "callers at once"),
    Column("per_second", "/s"),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
)
NOTE: Final = (
    "POST /auth/token with client_credentials and private_key_jwt (ES384), from the parsed HTTP request to "
    "the answer, entry of the ledger included. Each assertion is its own, and used up durably."
)


def steps(options: Options) -> int:
    return options.turns * len(WAITERS)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    rows = uvloop.run(_rows(make_house(folder / "services"), options, tick))
    return Table("services", "Tokens for backend services", NOTE, COLUMNS, rows)


async def _rows(bench: BenchHouse, options: Options, tick: Tick) -> tuple[tuple[Cell, ...], ...]:
    key = JWK.generate(kty="EC", crv="P-384", kid="bench", use="sig", alg=ALGORITHM)
    taken: dict[int, list[tuple[float, ...]]] = {callers: [] for callers in WAITERS}
    with closing(Database(bench.config.with_name("auth.db"), TABLES)) as database:
        async with open_walk(bench) as walk:
            server = await _server(walk, database, key)
            for _ in range(options.turns):
                for callers, times in WAITERS.items():
                    tick(f"services' tokens, {callers} at once")
                    bodies = [_request(walk, key) for _ in range(max(options.repeat(times), callers))]
                    with quiet_collector():
                        taken[callers].append(await _ask(server, bodies, callers))
    return tuple((callers, *median_of(turns)) for callers, turns in taken.items())


async def _server(walk: Walk, database: Database, key: JWK) -> ASGIApp:
    """The token endpoint, with one client that has registered `key`."""
    clients = Clients(database)
    public = read_keys({"keys": [key.export_public(as_dict=True)]})
    client = Client(
        CLIENT, "Bench", "private_key_jwt", grant_types=("client_credentials",), scopes=(SCOPE,), keys=public
    )
    await clients.add(client, "operator", Secrets(), now_ms() // 1000)

    async def nowhere(_: str) -> bool:
        return False

    return Starlette(routes=token_routes(_ports(walk, database), clients, nowhere))


def _ports(walk: Walk, database: Database) -> Ports:
    house, catalogue = walk.house, mapping.load_catalogue("R4")
    base = Base(walk.audience, "R4", frozenset(catalogue.types), lambda _kind, _term: True, (SCOPE,))
    return Ports(
        issuer=house.minter.issuer,
        bases={base.url: base},
        policy=house.policy,
        database=database,
        minter=house.minter,
        verify=walk.ports().verify,
        consents=house.consents,
        service=house.service,
        record=house.record,
        fetch=walk.fetch,
        now_ms=now_ms,
        new_id=new_id,
        new_secret=lambda: b64url(random_bytes(32)),
    )


def _request(walk: Walk, key: JWK) -> bytes:
    issuer, now_s = walk.house.minter.issuer, now_ms() // 1000
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": issuer + TOKEN, "exp": now_s + 300, "jti": new_id()}
    jws = JWS(json.dumps(claims))
    jws.add_signature(key, protected=json.dumps({"alg": ALGORITHM, "kid": "bench", "typ": "JWT"}))
    form = {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jws.serialize(compact=True),
    }
    return urlencode(form).encode()


async def _ask(server: ASGIApp, bodies: list[bytes], callers: int) -> tuple[float, ...]:
    """Per second, p50 and p99 in milliseconds."""
    left, seconds = iter(bodies), list[float]()
    start = time.perf_counter()
    await asyncio.gather(*(_caller(server, left, seconds) for _ in range(callers)))
    whole_s = time.perf_counter() - start
    return len(bodies) / whole_s, percentile(seconds, 50) * 1000, percentile(seconds, 99) * 1000


async def _caller(server: ASGIApp, left: Iterator[bytes], seconds: list[float]) -> None:
    for body in left:
        sent = time.perf_counter()
        status = await _post(server, body)
        seconds.append(time.perf_counter() - sent)
        assert status == 200, "the client may have this token"


async def _post(server: ASGIApp, body: bytes) -> int:
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": TOKEN,
        "raw_path": TOKEN.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": HEADERS,
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await server(scope, receive, send)
    return statuses[0]
