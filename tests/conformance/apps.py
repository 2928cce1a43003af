"""The kit's clients: as they are registered, and how each shows at an endpoint who it is."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from tests.tokens import forge

KIT: Final = "https://kit.example"
REDIRECT_URI: Final = f"{KIT}/redirect"
LAUNCH_URI: Final = f"{KIT}/launch"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KINDS: Final = ("public", "symmetric", "asymmetric")
METHODS: Final = {
    "public": "none",
    "symmetric": "client_secret_basic",
    "asymmetric": "private_key_jwt",
}
CEILING: Final = (
    "openid fhirUser launch launch/patient launch/encounter offline_access online_access "
    "patient/*.rs patient/*.read user/*.rs user/*.read"
)
KEYS: Final = {"ES384": forge.private_key("ES384"), "RS384": forge.rsa_key(384)}
PUBLIC_KEYS: Final = [forge.public_jwk(key, kid=alg, alg=alg) for alg, key in KEYS.items()]

Kind = Literal["public", "symmetric", "asymmetric"]
Proof = tuple[dict[str, str], dict[str, str]]
"""Parameters and headers."""


@dataclass(frozen=True)
class App:
    """`algorithm` is what it signs with; `jku` is named in its assertions' headers."""

    id: str
    kind: Kind
    metadata: dict[str, Any] = field(repr=False)
    algorithm: str = "ES384"
    jku: str | None = None
    secret: str = field(default="", repr=False)

    def given(self, secret: str | None) -> App:
        return self if secret is None else replace(self, secret=secret)

    def proof(self, audience: str, now_s: int) -> Proof:
        """By its one method."""
        if self.kind == "public":
            return {"client_id": self.id}, {"Origin": KIT}
        if self.kind == "symmetric":
            return {}, {"Authorization": basic(self.id, self.secret)}
        return assertion_form(self.assertion(audience, now_s)), {}

    def assertion(
        self,
        audience: str,
        now_s: int,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """As the kits make it: five minutes, to the second; with `header` and `claims` over it. None takes a
        name out."""
        head = {"typ": "JWT", "alg": self.algorithm, "kid": self.algorithm, "jku": self.jku, **(header or {})}
        body = {
            "iss": self.id,
            "sub": self.id,
            "aud": audience,
            "exp": now_s + 300,
            "jti": uuid.uuid4().hex,
            **(claims or {}),
        }
        return forge.raw_token(KEYS[self.algorithm], self.algorithm, _json(head), _json(body))


def basic(name: str, secret: str) -> str:
    """The header as the kits send it: neither part is percent-encoded."""
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


def assertion_form(assertion: str, type: str = ASSERTION_TYPE) -> dict[str, str]:
    return {"client_assertion_type": type, "client_assertion": assertion}


def apps(key_server: str) -> Iterator[App]:
    """An app of each kind, another public one, and services with their keys by value and by address."""
    for kind in KINDS:
        yield _app(kind, kind)
    yield _app("other", "public")
    yield _service("service", jwks={"keys": PUBLIC_KEYS})
    addresses = [f"{key_server}/first.json", f"{key_server}/second.json"]
    yield replace(_service("published", jwks_uris=addresses), jku=addresses[1])


def _app(name: str, kind: Any) -> App:
    metadata = {
        "client_name": f"The kit ({name})",
        "token_endpoint_auth_method": METHODS[kind],
        "redirect_uris": [REDIRECT_URI],
        "launch_uris": [LAUNCH_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": CEILING,
    }
    return App(name, kind, {**metadata, **({"jwks": {"keys": PUBLIC_KEYS}} if kind == "asymmetric" else {})})


def _service(name: str, **keys: object) -> App:
    metadata = {
        "client_name": name,
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"],
        "scope": "system/*.rs",
    }
    return App(name, "asymmetric", {**metadata, **keys})


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()
