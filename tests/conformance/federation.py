"""A gateway whose people log in at another: registered there, by a secret or by a key, and configured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from jwcrypto.jwk import JWK

from tests.conformance.site import Site, site

CALLBACK: Final = "/auth/login/callback/hospital"
KEYS_NOWHERE: Final = "https://127.0.0.1:9/jwks.json"
_PENDING: Final = "https://not-yet.example/"
_CONFIG: Final = """
[auth]
local_log_in = {local}

[[login_providers]]
name = "hospital"
title = "St Example"
issuer = "{issuer}"
client_id = "{client}"
scopes = ["openid", "fhirUser"]
resource = "{issuer}/fhir"
fhir_user_base = "{issuer}/fhir"
{proof}
"""

Proof = Literal["secret", "key"]


@contextmanager
def federated(
    provider: Site, folder: Path, upstream: str, proof: Proof, *, local: bool = False, host: str | None = None
) -> Iterator[Site]:
    """The gateway, which is registered before it has an address and gets that afterwards. With a `host` it is
    on TLS and only browsers find it."""
    client = f"gateway-{folder.name}"
    said, metadata = (_secret if proof == "secret" else _key)(provider, client, folder)
    more = _CONFIG.format(issuer=provider.url, client=client, proof=said, local=json.dumps(local))
    with site(
        folder, upstream, tls=host is not None, key_server=KEYS_NOWHERE, more=more, host=host
    ) as gateway:
        changed = {**metadata, "redirect_uris": [gateway.url + CALLBACK]}
        provider.place.good("client", "change", client, "--metadata", _file(provider, changed))
        yield gateway


def _secret(provider: Site, client: str, _: Path) -> tuple[str, dict[str, Any]]:
    metadata = _metadata("client_secret_basic")
    return f'client_secret = "{_add(provider, client, metadata)["client_secret"]}"', metadata


def _key(provider: Site, client: str, folder: Path) -> tuple[str, dict[str, Any]]:
    key = JWK.generate(kty="EC", crv="P-384")
    (folder / "client-key.json").write_text(key.export_private())
    public = {**key.export_public(as_dict=True), "kid": key.thumbprint(), "alg": "ES384"}
    metadata = {**_metadata("private_key_jwt"), "jwks": {"keys": [public]}}
    _add(provider, client, metadata)
    return 'client_key = "client-key.json"', metadata


def _metadata(method: str) -> dict[str, Any]:
    """As the client is registered before the gateway has an address."""
    return {
        "client_name": "Gateway B",
        "token_endpoint_auth_method": method,
        "redirect_uris": [_PENDING],
        "grant_types": ["authorization_code"],
        "scope": "openid fhirUser",
    }


def _add(provider: Site, client: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = provider.place.json(
        "client", "add", client, "--metadata", _file(provider, metadata)
    )
    return told


def _file(provider: Site, metadata: Mapping[str, Any]) -> str:
    path = provider.place.folder / "metadata.json"
    path.write_text(json.dumps(metadata))
    return str(path)
