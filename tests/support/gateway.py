"""A whole gateway in its own folder, served by a real uvicorn; everything it answers is kept and checked.

It is reached as `https://gw.example` on a free port of the loopback. Tokens come from an external issuer
(keys in a file, bound to consents by look-up), so that they can be forged; consents are granted over the
operator API. `ports` changes what the walk stands on, one port at a time.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import app, house
from gateway.config import Settings
from gateway.core.tlog.tree import leaf_hash
from gateway.core.values import Ask, UpstreamReply
from gateway.house import OpenHouse, now_ms, open_house
from gateway.ledger.recorder import LedgerReader, OpenedEntry
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.vault import Vault
from gateway.ledger.verify import PublicKeys, verify_store
from gateway.ports import Ports
from gateway.upstream.client import Transport
from gateway.web.protocol import StrictHttpToolsProtocol
from tests.support.answers import Exchange, check_entries, parsed, receipts_of
from tests.support.asgi import Parser, serve
from tests.support.house import BASE, HOST, ISSUER, PUBLIC, issuer_key, prepare
from tests.support.ports import raw_http
from tests.tokens import forge

_now_ms = now_ms
ChangePorts = Callable[[Ports], Ports]


class Counting:
    """The upstream's transport, with everything that was asked of it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.asks: list[Ask] = []

    async def fetch(self, ask: Ask) -> UpstreamReply:
        self.asks.append(ask)
        return await self._inner.fetch(ask)


@dataclass(slots=True)
class Gateway:
    """A running gateway. Targets are request targets as sent: `/fhir/Observation?code=1`."""

    house: OpenHouse
    port: int
    upstream: Counting
    clock: Clock
    client: httpx.Client = field(repr=False)
    exchanges: list[Exchange] = field(default_factory=list, repr=False)

    # --- Consents and tokens ----------------------------------------------------------------------

    def grant(self, **draft: Any) -> dict[str, Any]:
        """Grants a consent; `{"id", "entry", "hash"}`. Names are those of a draft, `from` as `from_`."""
        body = {"from" if name == "from_" else name: value for name, value in draft.items()}
        return self._operator("POST", "/admin/consents", body, 201)

    def permit(self, patient: str = "pat-a", **draft: Any) -> dict[str, Any]:
        """Grants `app-1` all of the patient's records for treatment, unless `draft` says otherwise."""
        usual = {"grantees": ["client:app-1"], "scopes": ["patient/*.rs"], "purposes": ["TREAT"]}
        return self.grant(**{"patient": patient, **usual, **draft})

    def deny(self, patient: str = "pat-a", **draft: Any) -> dict[str, Any]:
        """Denies everybody all of the patient's records, or those that `draft` names."""
        return self.grant(**{"patient": patient, "scopes": ["patient/*.rs"], "effect": "deny", **draft})

    def revoke(self, consent_id: str, *, stop: bool = False) -> None:
        why = {"reason": "patient-request", **({"stop": True} if stop else {})}
        self._operator("POST", f"/admin/consents/{consent_id}/revoke", why, 200)

    def _operator(self, method: str, path: str, body: object, status: int) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.house.keys.operator_secret}"}
        response = self.client.request(method, path, json=body, headers=headers)
        assert response.status_code == status, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def claims(self, scopes: str, patient: str | None = "pat-a", **claims: object) -> dict[str, object]:
        """The claims of a sound token; None as a value takes a claim out."""
        now_s = self.clock() // 1000
        usual: dict[str, object] = {
            "iss": ISSUER,
            "aud": BASE,
            "sub": "user-1",
            "client_id": "app-1",
            "jti": secrets.token_hex(8),
            "iat": now_s,
            "exp": now_s + 600,
            "scope": scopes,
            "patient": patient,
            "purpose_of_use": "TREAT",
        }
        return {name: value for name, value in {**usual, **claims}.items() if value is not None}

    def token(
        self,
        scopes: str = "patient/*.rs",
        patient: str | None = "pat-a",
        *,
        header: Mapping[str, object] | None = None,
        key: forge.PrivateKey | None = None,
        **claims: object,
    ) -> str:
        """A token of the external issuer; `header` over its usual header, `key` in place of the issuer's."""
        head = {"typ": "at+jwt", "alg": "ES256", "kid": "key-1", **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        payload = self.claims(scopes, patient, **claims)
        return forge.raw_token(key or issuer_key(), "ES256", _json(head), _json(payload))

    # --- Requests ---------------------------------------------------------------------------------

    def get(self, target: str, token: str | None = None, **headers: str) -> httpx.Response:
        return self.send("GET", target, token, headers={n.replace("_", "-"): v for n, v in headers.items()})

    def post(self, target: str, token: str | None, form: str) -> httpx.Response:
        """A search by POST."""
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", target, token, headers=form_type, content=form.encode())

    def send(
        self,
        method: str,
        target: str,
        token: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """The answer to a request with exactly this target."""
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        response = self.client.request(
            method,
            "/",
            headers={**bearer, **(headers or {})},
            content=content,
            extensions={"target": target.encode()},
        )
        return self._kept(method, target, response)

    def raw(
        self,
        method: str,
        target: str,
        token: str | None = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        content: bytes = b"",
    ) -> httpx.Response:
        """The same on a plain socket: no header but `headers`, and one Host unless they name one."""
        lines = [*headers]
        if not any(name.lower() == "host" for name, _ in lines):
            lines.insert(0, ("Host", HOST))
        if token is not None:
            lines.append(("Authorization", f"Bearer {token}"))
        if content and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in lines):
            lines.append(("Content-Length", str(len(content))))
        lines.append(("Connection", "close"))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
        answer = raw_http(self.port, head.encode() + b"\r\n" + content)
        return self._kept(method, target, parsed(answer))

    def follow(self, target: str, token: str, **headers: str) -> Iterator[httpx.Response]:
        """The answer and, by its next links, the ones after it."""
        link: str | None = target
        while link is not None:
            response = self.get(link, token, **headers)
            assert response.status_code == 200, response.text
            yield response
            link = next_target(response.json())

    def _kept(self, method: str, target: str, response: httpx.Response) -> httpx.Response:
        self.exchanges.append(Exchange(method, target, response))
        return response

    # --- The ledger -------------------------------------------------------------------------------

    def entries(self, since: int = 0) -> list[OpenedEntry]:
        """All entries of the ledger from index `since` on, opened."""
        with self._opened() as (store, reader):
            return [reader.facts(index) for index in range(since, store.head().size)]

    def size(self) -> int:
        """How many entries the ledger has."""
        with self._opened() as (store, _):
            return store.head().size

    def check_everything(self, *, unanswered: int = 0) -> None:
        """The ledger verifies; each answer that tells its bearer anything is in it, and nothing else is, but
        for `unanswered` entries of requests that failed after their record."""
        keys = PublicKeys(self.house.keys.log.verifier, (self.house.keys.gateway.verifier,))
        with self._opened() as (store, reader):
            verify_store(store, keys, opener=reader)
            given: set[int] = set()
            for exchange in self.exchanges:
                receipts = receipts_of(exchange.response)
                assert receipts or not exchange.must_be_recorded, exchange
                for receipt in receipts:
                    stored = store.entry(receipt.index)
                    assert stored is not None, exchange
                    assert leaf_hash(stored.leaf) == receipt.leaf_hash, exchange
                    assert receipt.index not in given, exchange
                    given.add(receipt.index)
                check_entries(exchange, [reader.facts(receipt.index) for receipt in receipts])
            reads = {stored.index for stored in store.entries_of(frozenset({"read.permit", "read.deny"}), -1)}
            assert given <= reads
            assert len(reads - given) == unanswered, "the ledger has reads that nobody was answered"

    @contextmanager
    def _opened(self) -> Iterator[tuple[SqliteReader, LedgerReader]]:
        path = self.house.settings.ledger.store
        store, vault = SqliteReader(path), Vault(path.with_name("vault.db"), self.house.keys.kek)
        try:
            yield store, LedgerReader(store, vault)
        finally:
            vault.close()
            store.close()


class Clock:
    """The process clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def __call__(self) -> int:
        return _now_ms() + self.ahead_s * 1000


@contextmanager
def gateway(
    folder: Path,
    upstream_url: str,
    *,
    http: Parser = "httptools",
    ports: ChangePorts = lambda ports: ports,
    timeout_s: float = 60,
    max_count: int = 200,
    clock: Clock | None = None,
    extra: str = "",
) -> Iterator[Gateway]:
    """A gateway in front of the FHIR server at `upstream_url`, without a single consent.

    With a `clock` of its own, every part of it goes by that one. `extra` are further settings.
    """
    settings = prepare(folder, upstream_url, timeout_s=timeout_s, max_count=max_count, extra=extra)
    made: list[Counting] = []
    own_clock, clock = clock is not None, clock or Clock()

    def changed(old: Ports) -> Ports:
        counting = Counting(old.upstream)
        made.append(counting)
        return ports(replace(old, upstream=counting, now_ms=clock))

    hosted = _Hosted(settings, changed)
    with ExitStack() as stack:
        if own_clock:
            for reading in (app, house):
                stack.enter_context(patch.object(reading, "now_ms", clock))
        served = stack.enter_context(serve(hosted, http=_protocol(http), lifespan="on"))
        client = httpx.Client(base_url=served.url, headers={"Host": HOST}, timeout=60, trust_env=False)
        stack.enter_context(client)
        yield Gateway(hosted.house, served.port, made[0], clock, client)


class _Hosted:
    """The application, whose house is opened in the event loop that serves it."""

    house: OpenHouse

    def __init__(self, settings: Settings, change: ChangePorts) -> None:
        self._settings, self._change = settings, change
        self._application: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        async with open_house(self._settings) as self.house:
            with _changing_ports(self._change):
                self._application = app.application(self.house)
            await self._application(scope, receive, send)


_building = threading.Lock()


@contextmanager
def _changing_ports(change: ChangePorts) -> Iterator[None]:
    """Puts `change` between `app` and what it builds; nothing else of the application differs."""
    build = app.ports_of

    def changed(*args: Any) -> Ports:
        return change(build(*args))

    with _building, patch.object(app, "ports_of", changed):
        yield


def _protocol(http: Parser) -> Parser:
    """What `consentry serve` gives uvicorn; it takes a protocol class as well as a name."""
    return cast("Parser", StrictHttpToolsProtocol) if http == "httptools" else http


def next_target(bundle: Mapping[str, Any]) -> str | None:
    """The request target of a Bundle's next link, which must be ours."""
    urls = [link["url"] for link in bundle.get("link", []) if link["relation"] == "next"]
    if not urls:
        return None
    (url,) = urls
    assert url.startswith(BASE + "/"), url
    return str(url.removeprefix(PUBLIC))


def _json(members: Mapping[str, object]) -> bytes:
    return forge._json(members)
