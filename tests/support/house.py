"""What a gateway in tests is made of: its names, its settings and the keys of its external issuer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.config import Settings, load
from gateway.ledger.keys import init_keys
from gateway.ledger.ledger import create_ledger
from tests.tokens import forge

HOST: Final = "gw.example"
PUBLIC: Final = f"https://{HOST}"
BASE: Final = f"{PUBLIC}/fhir"
ISSUER: Final = "https://idp.example"
ORIGIN: Final = "hospital.example/consentry"

SETTINGS: Final = """
[server]
public_url = "{public}"
max_body_bytes = 65536
[ledger]
origin = "{origin}"
store = "sqlite:///ledger.db"
keys = "keys"
[[upstreams]]
name = "main"
path = "/fhir"
base_url = "{upstream}"
fhir_version = "R4"
timeout_s = {timeout_s}
max_body_bytes = 8388608
max_count = {max_count}
[[issuers]]
issuer = "{issuer}"
jwks = "idp-keys.json"
audience = "{public}/fhir"
binding = "lookup"
"""


def prepare(
    folder: Path, upstream_url: str, *, timeout_s: float = 60, max_count: int = 200, extra: str = ""
) -> Settings:
    """Keys, an empty ledger, the issuer's keys and the settings with `extra` ones, in `folder`; what was made
    before stays."""
    if (folder / "consentry.toml").exists():
        return load(folder / "consentry.toml", {})
    (folder / "idp-keys.json").write_bytes(forge.jwks(forge.public_jwk(issuer_key())))
    (folder / "consentry.toml").write_text(
        SETTINGS.format(
            public=PUBLIC,
            origin=ORIGIN,
            upstream=upstream_url,
            issuer=ISSUER,
            timeout_s=timeout_s,
            max_count=max_count,
        )
        + extra
    )
    settings = load(folder / "consentry.toml", {})
    create_ledger(settings.ledger.store, init_keys(settings.ledger.keys, settings.ledger.origin))
    return settings


def issuer_key() -> forge.PrivateKey:
    return forge.private_key("ES256")
