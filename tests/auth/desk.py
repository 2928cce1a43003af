"""The endpoints for tokens over a real ledger, with registered clients, approvals as the approval page makes
them, and a clock that can be put forward."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.applications import Starlette

from gateway import mapping
from gateway.auth.clients import registry as registry
from gateway.auth.clients.origins import public_origins
from gateway.auth.clients.registry import Clients, Secrets
from gateway.auth.people.registry import TABLES as PEOPLE
from gateway.auth.ports import Base, Ports
from gateway.auth.store.database import Database, digest_of
from gateway.auth.store.grants import Code, Grant
from gateway.auth.store.people import Account, Authority
from gateway.auth.tokens.introspect import introspect_routes
from gateway.auth.tokens.openid import IdTokens, openid_routes
from gateway.auth.tokens.revoke import revoke_routes
from gateway.auth.tokens.token import token_routes
from gateway.consents.draft import Draft as ConsentDraft
from gateway.core.canon import b64url, sha256
from gateway.core.fhir import match
from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import read_keys
from gateway.core.smart.issuers import IssuerRule
from gateway.core.values import ConsentRef, Token
from gateway.house import OpenHouse, new_id, now_ms, open_house
from gateway.ledger.recorder import OpenedEntry
from gateway.tokens.fetch import Fetched, FetchFailed
from gateway.tokens.verifier import Issuer, Verifier
from gateway.web.senders import Senders, Trust
from tests.support.house import BASE, PUBLIC, prepare
from tests.tokens import forge

LAB: Final = f"{PUBLIC}/lab"
SECRET: Final = "s" * 43
VERIFIER: Final = "v" * 64
REDIRECT: Final = "https://app.example/cb"
ORIGIN: Final = "https://app.example"
SCOPES: Final = (
    "openid", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access",
    "patient/*.cruds", "user/*.cruds", "system/*.cruds",
)  # fmt: skip
APP_SCOPE: Final = "openid fhirUser launch/patient offline_access patient/Observation.rs patient/*.read"
CONTEXT: Final = {
    "encounter": "enc-1",
    "need_patient_banner": True,
    "smart_style_url": f"{PUBLIC}/style.json",
    "fhirContext": [{"reference": "ImagingStudy/1"}],
    "intent": "reconcile",
    "tenant": "ward-1",
}
_APP: Final[Mapping[str, Any]] = {
    "redirect_uris": (REDIRECT, "https://app.example/other"),
    "grant_types": ("authorization_code", "refresh_token"),
    "scopes": (*APP_SCOPE.split(), "online_access", "user/*.rs"),
}
KEY: Final = forge.private_key("ES384")
_KEYS: Final = read_keys(json.loads(forge.jwks(forge.public_jwk(KEY, alg="ES384"))))

CLIENTS: Final = {
    "public": Client("public", "A public app", "none", **_APP),
    "other": Client("other", "Another app", "none", **_APP),
    "symmetric": Client("symmetric", "An app with a secret", **_APP),
    "asymmetric": Client("asymmetric", "An app with a key", "private_key_jwt", keys=_KEYS, **_APP),
    "once": Client("once", "Without refresh", "none", **{**_APP, "grant_types": ("authorization_code",)}),
    "service": Client(
        "service",
        "A service",
        "private_key_jwt",
        grant_types=("client_credentials",),
        scopes=("system/*.rs",),
        keys=_KEYS,
    ),
}


@dataclass
class Desk:
    """`ports` are the real ones; a test may put others in their place before it asks. `renewals` are what was
    asked about before a token followed another, and `in_time` the answer."""

    house: OpenHouse
    ports: Ports
    clients: Clients
    ahead_s: int = 0
    failing: list[Exception] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    in_time: bool = True
    renewals: list[tuple[str, Token, int]] = field(default_factory=list)
    http: httpx.AsyncClient = field(init=False, repr=False)

    # --- Approvals --------------------------------------------------------------------------------

    @property
    def now_s(self) -> int:
        return self.ports.now_ms() // 1000

    async def permit(self, **draft: Any) -> ConsentRef:
        usual: dict[str, Any] = {
            "patient": "pat-a",
            "grantees": ("client:public",),
            "scopes": ("patient/*.rs",),
        }
        ref = await self.house.service.grant(ConsentDraft(**{**usual, **draft}))
        self.house.consents.at_head()
        return ref

    async def withdraw(self, consent: str) -> None:
        self.house.consents.at_head()
        await self.house.service.revoke(consent, "patient-request")

    async def approve(
        self, client: str = "public", *, code: Mapping[str, Any] | None = None, **grant: Any
    ) -> str:
        """The code of a new grant, as the approval page leaves it."""
        text, name = secrets.token_urlsafe(32), secrets.token_hex(8)
        usual: dict[str, Any] = {
            "id": name,
            "client": client,
            "audience": BASE,
            "subject": "person-1",
            "user": "Patient/pat-a" if "consent" in grant else "Practitioner/prac-1",
            "patient": "pat-a",
            "scope": APP_SCOPE,
            "purposes": "TREAT",
            "context": json.dumps(CONTEXT),
            "created_s": self.now_s,
            "until_s": self.now_s + 365 * 86_400,
        }
        made = Grant(**{**usual, **grant})
        usual_code = {
            "digest": digest_of(text),
            "grant": made.id,
            "client": client,
            "redirect_uri": REDIRECT,
            "challenge": b64url(sha256(VERIFIER.encode())),
            "nonce": "n-1",
            "auth_time_s": self.now_s - 5,
            "exp_s": self.now_s + 60,
        }

        def work(session: Any) -> None:
            session.add(made)
            session.flush()
            session.add(Code(**{**usual_code, **(code or {})}))

        await self.ports.database.run(work)
        return text

    async def may_act(self, patient: str = "pat-a", until_s: int | None = None) -> str:
        """Records that person-1, whom it makes, may act for a patient; the id of the authority."""
        now_s, name = self.now_s, secrets.token_hex(8)
        person: dict[str, Any] = {
            "id": "person-1",
            "login": "anna",
            "name": "Anna Ek",
            "password": "",
            "created_s": now_s,
        }
        until_s = now_s + 86_400 if until_s is None else until_s
        made: dict[str, Any] = {
            "patient": patient,
            "relationship": "MTH",
            "until_s": until_s,
            "recorded_by": "operator",
            "entry": 1,
            "hash": "h" * 43,
        }

        def work(session: Any) -> None:
            session.merge(Account(**person))
            session.flush()
            session.add(Authority(id=name, person="person-1", created_s=now_s, **made))

        await self.ports.database.run(work)
        return name

    # --- Requests ---------------------------------------------------------------------------------

    async def post(self, path: str, form: Mapping[str, str | None], **headers: str) -> httpx.Response:
        """Sends a form; None leaves a parameter out."""
        data = {name: value for name, value in form.items() if value is not None}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, data=data, headers=sent)

    async def exchange(self, code: str, /, **form: str | None) -> httpx.Response:
        usual = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            "client_id": "public",
        }
        return await self.post("/auth/token", {**usual, **form})

    async def refresh(self, token: str, /, **form: str | None) -> httpx.Response:
        usual = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "public"}
        return await self.post("/auth/token", {**usual, **form})

    async def service(self, **form: str | None) -> httpx.Response:
        usual = {"grant_type": "client_credentials", "scope": "system/*.rs", **self.asserting("service")}
        return await self.post("/auth/token", {**usual, **form})

    def asserting(
        self, client: str, address: str = f"{PUBLIC}/auth/token", /, **claims: object
    ) -> dict[str, str]:
        """The parameters by which an asymmetric client proves itself."""
        usual = {"iss": client, "sub": client, "aud": address, "exp": self.now_s + 300}
        payload = {**usual, "jti": secrets.token_hex(8), **claims}
        header = {"typ": "JWT", "alg": "ES384", "kid": "key-1"}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": forge.raw_token(
                KEY, "ES384", json.dumps(header).encode(), json.dumps(payload).encode()
            ),
        }

    async def granted(self, **grant: Any) -> dict[str, Any]:
        """The token response to a new approval of the public client."""
        response = await self.exchange(await self.approve(**grant))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def introspect(self, token: str, client: str = "symmetric", **headers: str) -> Any:
        """By HTTP Basic, unless `headers` say otherwise."""
        sent = {"Authorization": basic(client), **headers}
        response = await self.post("/auth/introspect", {"token": token}, **sent)
        assert response.status_code == 200, response.text
        return response.json()

    async def verify(self, token: str, base: str = BASE) -> Token:
        return await self.ports.verify(token, base, self.now_s)

    # --- The ledger -------------------------------------------------------------------------------

    def entries(self, kind: str) -> list[OpenedEntry]:
        """All entries of a kind, opened."""
        found = self.house.ledger.entries_of(frozenset({kind}), -1)
        return [self.house.reader.open(stored) for stored in found]

    def is_over(self, token: Token) -> bool:
        _, view = self.house.consents.at_head()
        assert token.issued is not None
        return view.is_revoked(token.issued)


def basic(client: str, secret: str = SECRET) -> str:
    return httpx.BasicAuth(client, secret)._auth_header


@asynccontextmanager
async def open_desk(folder: Path, bases: Sequence[str] = (BASE,)) -> AsyncIterator[Desk]:
    shutil.copytree(_prepared(), folder, dirs_exist_ok=True)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(prepare(folder, "http://127.0.0.1:9/fhir")))
        database = Database(folder / "auth.db", (*registry.TABLES, *PEOPLE))
        stack.callback(database.close)
        clients = Clients(database)
        for client in CLIENTS.values():
            given = Secrets(SECRET if client.kind == "symmetric" else None)
            await clients.add(client, "operator", given, now_ms() // 1000)
        desk = Desk(house, _ports(house, database, bases), clients)
        _tie(desk)

        origins = public_origins(database, now_ms)
        routes = [
            *token_routes(desk.ports, clients, origins),
            *revoke_routes(desk.ports, clients, origins),
            *introspect_routes(desk.ports, clients),
            *openid_routes(desk.ports.minter, _id_tokens(house)),
        ]
        app = Senders(Starlette(routes=routes), Trust((ip_network("127.0.0.1"),), certificates=True))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        desk.http = httpx.AsyncClient(transport=transport, base_url=PUBLIC)
        await stack.enter_async_context(desk.http)
        yield desk


@cache
def _prepared() -> Path:
    """A folder with keys and an empty ledger, to be copied: new keys for each test would take too long."""
    folder = tempfile.TemporaryDirectory(prefix="consentry-tests-")
    atexit.register(folder.cleanup)
    prepare(Path(folder.name), "http://127.0.0.1:9/fhir")
    return Path(folder.name)


def _id_tokens(house: OpenHouse) -> IdTokens:
    assert house.keys.openid_jwk is not None
    return IdTokens(json.loads(house.keys.openid_jwk), PUBLIC)


def _ports(house: OpenHouse, database: Database, bases: Sequence[str]) -> Ports:
    catalogue = mapping.load_catalogue("R4")
    evaluable: Callable[..., bool] = lambda kind, term: match.evaluable(catalogue, kind, term)  # noqa: E731
    rules = [IssuerRule(PUBLIC, base, (house.minter.algorithm,), "lookup", own=True) for base in bases]
    issuers = [Issuer(rule, house.minter.keys) for rule in rules]
    verifier = Verifier(issuers, types=catalogue.types, evaluable=evaluable)

    async def no_fetch(_: str) -> Fetched:
        raise FetchFailed("nothing is fetched here")

    return Ports(
        issuer=PUBLIC,
        bases={url: Base(url, "R4", frozenset(catalogue.types), evaluable, SCOPES) for url in bases},
        policy=house.policy,
        database=database,
        minter=house.minter,
        verify=verifier.verify,
        consents=house.consents,
        service=house.service,
        record=house.record,
        fetch=no_fetch,
        now_ms=now_ms,
        new_id=new_id,
        new_secret=lambda: b64url(os.urandom(32)),
        id_tokens=_id_tokens(house),
        case_roots={"doctor": frozenset({"Claim", "Encounter"}), "porter": frozenset()},
    )


def _tie(desk: Desk) -> None:
    """Puts the desk's own clock, which stands still, and a ledger that can fail between the ports and the
    house."""
    began_ms = now_ms()

    async def record(drafts: Any) -> Any:
        if desk.failing:
            raise desk.failing[0]
        desk.recorded.extend(draft.kind for draft in drafts)
        return await desk.house.record(drafts)

    async def may_renew(base: str, token: Token, now_s: int) -> bool:
        desk.renewals.append((base, token, now_s))
        return desk.in_time

    desk.ports = replace(desk.ports, may_renew=may_renew)
    desk.ports = replace(desk.ports, record=record, now_ms=lambda: began_ms + desk.ahead_s * 1000)
