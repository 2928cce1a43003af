"""A gateway for the run: settings, keys and ledger in a temporary folder, one consent, a token for each base.

The patient has granted the one client everything for treatment, so every resource is judged, and released.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from gateway.bench.records import PATIENT
from gateway.bench.upstream import BASES
from gateway.config import Settings, load
from gateway.consents.draft import Draft
from gateway.core.values import ConsentRef
from gateway.house import OpenHouse, new_id, now_ms, open_house
from gateway.ledger.keys import init_keys
from gateway.ledger.ledger import create_ledger

CLIENT: Final = "bench"
SCOPE: Final = "patient/*.rs"
TOKEN_LIFETIME_S: Final = 6 * 3600
_CONFIGURATION: Final = """
[server]
public_url = "http://127.0.0.1:8080"
log_level = "warning"

[ledger]
origin = "bench.example/ledger"
"""
_UPSTREAM: Final = """
[[upstreams]]
name = "{name}"
path = "/{name}"
base_url = "http://127.0.0.1:{port}/{name}"
fhir_version = "R4"
max_count = 1000
"""


@dataclass(frozen=True, slots=True)
class BenchHouse:
    """`tokens` by the name of the base, each bound to `consent`."""

    config: Path
    settings: Settings
    consent: ConsentRef
    tokens: Mapping[str, str]


def make_house(folder: Path, upstream_port: int = 9) -> BenchHouse:
    """A house in `folder`, which is made, in front of the upstream at `upstream_port`."""
    folder.mkdir()
    config = folder / "consentry.toml"
    tables = [_CONFIGURATION, *(_UPSTREAM.format(name=base, port=upstream_port) for base in BASES)]
    config.write_text("".join(tables))
    settings = load(config, {})
    create_ledger(settings.ledger.store, init_keys(settings.ledger.keys, settings.ledger.origin))
    consent, tokens = uvloop.run(_furnish(settings))
    return BenchHouse(config, settings, consent, tokens)


async def _furnish(settings: Settings) -> tuple[ConsentRef, dict[str, str]]:
    async with open_house(settings) as house:
        house.consents.at_head()
        consent = await house.service.grant(_consent())
        audiences = {upstream.name: settings.audience(upstream) for upstream in settings.upstreams}
        return consent, {name: mint(house, at, consent, new_id()) for name, at in audiences.items()}


def mint(house: OpenHouse, audience: str, consent: ConsentRef, jti: str) -> str:
    """A token as the gateway's own issuer gives it (about 800 bytes)."""
    claims = {
        "aud": audience,
        "sub": CLIENT,
        "client_id": CLIENT,
        "scope": SCOPE,
        "patient": PATIENT,
        "purpose_of_use": "TREAT",
        "consent": [{"id": consent.id, "entry": consent.entry, "hash": consent.hash}],
    }
    return house.minter.mint(claims, now_s=now_ms() // 1000, lifetime_s=TOKEN_LIFETIME_S, jti=jti)


def _consent() -> Draft:
    return Draft(
        patient=PATIENT, grantees=(f"client:{CLIENT}",), scopes=(SCOPE,), purposes=("TREAT",), effect="permit"
    )
