"""A provider on this machine that answers as it is told: soundly, unless a test changes one thing.

It is a real server, so that what comes back has passed the fetcher with all its limits. Its keys and tokens
are made by hand.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.tokens import forge

CLIENT: Final = "gateway"
SECRET: Final = "a secret: 100 %"
KEY: Final = forge.rsa_key(77)
OTHER_KEY: Final = forge.rsa_key(78)
SUBJECT: Final = "user-1"

Form = Mapping[str, str]
Sign = Callable[[dict[str, Any]], str]


@dataclass
class Answer:
    """`headers` are lines; the length is that of the body, and `pause_s` is before the answer."""

    body: bytes
    status: str = "200 OK"
    headers: tuple[str, ...] = ()
    pause_s: float = 0


@dataclass
class FakeProvider:
    """`claims` and `answers` (by path) are in the place of what is sound; `asked` are the authorization
    requests by code, and `forms` with `heads` what came to the token endpoint."""

    now_s: Callable[[], int]
    port: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    sign: Sign | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, Form] = field(default_factory=dict)
    forms: list[Form] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}/realms/hospital"

    # --- What the person does there ----------------------------------------------------------------

    def log_in(self, address: str) -> dict[str, str]:
        """The parameters with which the browser comes back from the authorization endpoint."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize", address
        asked = dict(parse_qsl(parts.query, strict_parsing=True, keep_blank_values=True))
        code = f"code-{len(self.asked)}"
        self.asked[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    # --- What it answers ---------------------------------------------------------------------------

    def answer(self, path: str, form: Form) -> Answer:
        here = path.removeprefix("/realms/hospital")
        if here in self.answers:
            return self.answers[here]
        if here == "/.well-known/openid-configuration":
            return _json(self.configuration)
        if here == "/keys":
            return Answer(forge.jwks(forge.public_jwk(KEY, alg="RS256")))
        if here == "/token":
            asked = self.asked.pop(form["code"], None)
            if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
                return Answer(b'{"error":"invalid_grant"}', "400 Bad Request")
            return _json({"access_token": "t", "token_type": "Bearer", "id_token": self.id_token(asked)})
        return Answer(b"{}", "404 Not Found")

    @property
    def configuration(self) -> dict[str, Any]:
        whole = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def id_token(self, asked: Form) -> str:
        now_s = self.now_s()
        sound = {
            "iss": self.issuer,
            "aud": asked["client_id"],
            "sub": SUBJECT,
            "nonce": asked["nonce"],
            "iat": now_s,
            "exp": now_s + 300,
            "auth_time": now_s,
        }
        claims = {name: value for name, value in {**sound, **self.claims}.items() if value is not None}
        return (self.sign or self._signed)(claims)

    def _signed(self, claims: dict[str, Any]) -> str:
        head = json.dumps({"alg": "RS256", "kid": "key-1", **self.header}).encode()
        return forge.raw_token(KEY, "RS256", head, json.dumps(claims).encode())

    # --- How it is served --------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.paths.append(path)
            length = next(
                (int(line[15:]) for line in head.lower().split("\r\n") if line[:15] == "content-length:"), 0
            )
            body = (await reader.readexactly(length)).decode()
            form = {name: values[0] for name, values in parse_qs(body, strict_parsing=bool(body)).items()}
            if path.endswith("/token"):
                self.heads.append(head)
                self.forms.append(form)
            answer = self.answer(path, form)
            await asyncio.sleep(answer.pause_s)
            lines = "".join(f"{line}\r\n" for line in answer.headers)
            writer.write(
                f"HTTP/1.1 {answer.status}\r\nContent-Length: {len(answer.body)}\r\n{lines}\r\n".encode()
            )
            writer.write(answer.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway went away, as it may
        finally:
            writer.close()


@asynccontextmanager
async def fake_provider(now_s: Callable[[], int]) -> AsyncIterator[FakeProvider]:
    provider = FakeProvider(now_s)
    listening = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield provider


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode())
