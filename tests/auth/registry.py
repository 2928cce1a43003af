"""A registry of clients, what the endpoints share around it, and assertions of every make."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

from gateway.auth.clients.client_auth import Credentials, authenticate
from gateway.auth.clients.client_keys import ClientKeys
from gateway.auth.clients.registry import TABLES, Clients, Registered, Secrets
from gateway.auth.ports import Base, Ports
from gateway.auth.store.clients import RegisteredBy
from gateway.auth.store.database import Database
from gateway.core.canon import b64url
from gateway.core.record import Draft
from gateway.core.smart.assertion import ASSERTION_TYPE
from gateway.core.smart.client import Client
from gateway.core.smart.metadata import read_metadata
from gateway.core.values import Term
from gateway.tokens.certificate import Certificate
from gateway.tokens.fetch import Fetched, FetchFailed
from tests.tokens import forge

NOW_S = 1_800_000_000
PUBLIC = "https://gw.example"
TOKEN = f"{PUBLIC}/auth/token"
JWKS = "https://svc.example/jwks.json"
APP: dict[str, Any] = {
    "client_name": "App",
    "redirect_uris": ["https://app.example/cb"],
    "scope": "patient/*.rs",
}
SERVICE: dict[str, Any] = {
    "client_name": "Service",
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["client_credentials"],
    "scope": "system/*.rs",
}
RSA, EC = forge.private_key("RS384"), forge.private_key("ES384")
RSA_JWK, EC_JWK = forge.public_jwk(RSA, "rsa"), forge.public_jwk(EC, "ec")
KEYS = {"keys": [RSA_JWK, EC_JWK]}


def evaluable(kind: str, term: Term) -> bool:
    return term.name == "category"


def new_secret() -> str:
    return b64url(os.urandom(32))


class View:
    """No token is over."""

    def is_revoked(self, _: object) -> bool:
        return False


class AtHead:
    def at_head(self) -> tuple[int, Any]:
        return 0, View()


@dataclass
class Publisher:
    """Key sets by address, as they are answered now, and how often each was asked for."""

    answers: dict[str, Fetched] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    async def __call__(self, url: str) -> Fetched:
        self.asked[url] = self.asked.get(url, 0) + 1
        if url not in self.answers:
            raise FetchFailed("nobody there")
        return self.answers[url]

    def put(self, *keys: Mapping[str, object], url: str = JWKS, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[url] = Fetched(200, named, forge.jwks(*keys))


@dataclass
class Registry:
    """`trusted` answers for addresses that the operator set, `public` for those of strangers."""

    database: Database
    now_s: int = NOW_S
    trusted: Publisher = field(default_factory=Publisher)
    public: Publisher = field(default_factory=Publisher)
    recorded: list[Draft] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids = count()
        self.clients = Clients(self.database, ClientKeys(self.public))
        unused = cast("Any", None)
        self.ports = Ports(
            issuer=PUBLIC,
            bases={
                f"{PUBLIC}/fhir": Base(
                    f"{PUBLIC}/fhir", "R4", frozenset({"Patient", "Observation"}), evaluable
                )
            },
            policy="policy",
            database=self.database,
            minter=unused,
            verify=unused,
            consents=AtHead(),
            service=unused,
            record=self._record,
            fetch=self.trusted,
            now_ms=lambda: self.now_s * 1000,
            new_id=lambda: f"id-{next(ids)}",
            new_secret=new_secret,
        )

    async def _record(self, drafts: Sequence[Draft]) -> list[Any]:
        self.recorded += drafts
        return []

    async def add(
        self,
        client_id: str,
        metadata: Mapping[str, Any],
        by: RegisteredBy = "operator",
        secret: str | None = None,
    ) -> Registered:
        client = read_metadata(metadata, client_id)
        made = (secret or new_secret()) if client.kind == "symmetric" else None
        return await self.clients.add(client, by, Secrets(made), self.now_s)

    async def authenticate(
        self,
        form: Mapping[str, str],
        authorization: Sequence[bytes] = (),
        clients: Clients | None = None,
        certificate: Certificate | None = None,
    ) -> Client:
        return await authenticate(
            self.ports,
            clients or self.clients,
            Credentials(form, authorization, certificate),
            self.now_s,
            frozenset({TOKEN}),
        )


def make_registry(folder: Path) -> Registry:
    return Registry(Database(folder / "auth.db", TABLES))


def basic(name: str, secret: str) -> bytes:
    return b"Basic " + b64encode(f"{name}:{secret}".encode())


def assertion(
    client: str = "svc",
    *,
    key: forge.PrivateKey = RSA,
    algorithm: str = "RS384",
    header: Mapping[str, object] | None = None,
    claims: Mapping[str, object] | None = None,
) -> str:
    """One that holds, with `header` and `claims` over it; None as a value takes a name out."""
    kid = "rsa" if key is RSA else "ec"
    head = {"typ": "JWT", "alg": algorithm, "kid": kid, **(header or {})}
    body = {
        "iss": client, "sub": client, "aud": TOKEN, "exp": NOW_S + 300, "jti": os.urandom(8).hex(),
        **(claims or {}),
    }  # fmt: skip
    return forge.raw_token(key, algorithm, _json(head), _json(body))


def unsigned(head: Mapping[str, object], signature: str) -> str:
    """An assertion with a signature of one's own; an empty one leaves two dots at its end."""
    claims = {"iss": "svc", "sub": "svc", "aud": TOKEN, "exp": NOW_S + 300, "jti": "j"}
    return f"{forge.b64(_json(head))}.{forge.b64(_json(claims))}.{signature}"


def by_public_key(key: forge.PrivateKey) -> str:
    """HS384 with the client's public key as the secret."""
    signed = unsigned({"typ": "JWT", "alg": "HS384", "kid": "rsa"}, "").rpartition(".")[0]
    return f"{signed}.{forge.b64(hmac.new(forge.pem(key), signed.encode(), hashlib.sha384).digest())}"


def form(text: str, **more: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text, **more}


def _json(members: Mapping[str, object]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()
