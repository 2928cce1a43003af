"""Configuration files for tests, and what an operator reads about one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings, load
from gateway.errors import ConfigError

SERVER = '[server]\npublic_url = "http://127.0.0.1:8080"\n'
LEDGER = '[ledger]\norigin = "hospital.example/consentry"\n'
UPSTREAM = """\
[[upstreams]]
name = "main"
path = "/fhir"
base_url = "http://127.0.0.1:8090/fhir"
fhir_version = "R4"
"""
ISSUER = """\
[[issuers]]
issuer = "https://idp.example"
jwks = "https://idp.example/keys"
audience = "http://127.0.0.1:8080/fhir"
"""
PROVIDER = """\
[[login_providers]]
name = "hospital"
title = "St Example"
issuer = "https://idp.example/realms/a"
client_id = "gateway"
client_secret = "s3cret"
"""
STUDY = """\
[[studies]]
id = "heart"
clients = ["heart-app"]
codes = ["http://loinc.org|8480-6"]
until = "2026-05-01"
"""
LEAST = SERVER + LEDGER + UPSTREAM
FULL = """\
[server]
host = "::1"
port = 9000
public_url = "https://Records.Hospital.example/"
workers = 2
http = "h11"
log_level = "warning"
max_body_bytes = 4096

[ledger]
origin = "hospital.example/consentry"
store = "sqlite:////var/lib/consentry/ledger.db"
keys = "/etc/consentry/keys"

[[upstreams]]
name = "main"
path = "/fhir"
base_url = "http://10.0.0.5:8090/fhir/"
fhir_version = "R4"
authorization = "Bearer s3cret"
timeout_s = 2.5
max_body_bytes = 1048576
max_count = 50
narrow_limit = 5

[[upstreams]]
name = "research-5"
path = "/r5/fhir"
base_url = "https://fhir_r5.internal"
fhir_version = "R5"

[[issuers]]
issuer = "https://idp.example/"
jwks = "idp-keys.json"
audience = "https://records.hospital.example/fhir"
binding = "lookup"
algorithms = ["ES384"]
default_purpose = "HPAYMT"
max_lifetime_s = 300
"""


NUMBER_PORT = "write a whole number from 1 to 65535"
ORIGIN = 'write a name such as "hospital.example/consentry": a URL without its scheme, spaces or "+"'
POSTGRESQL = 'this release has no PostgreSQL store; write "sqlite:///ledger.db"'


def read(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "consentry.toml"
    path.write_text(text)
    return load(path, environ)


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    """What is wrong, a line each, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text, **environ)
    return caught.value.text.replace(f"{folder}/", "").splitlines()


def with_value(section: str, name: str, value: str) -> str:
    """A good file with one value replaced or added."""
    tables = {
        "server": SERVER, "ledger": LEDGER, "upstreams": UPSTREAM, "issuers": ISSUER,
        "login_providers": PROVIDER,
    }  # fmt: skip
    lines = [line for line in tables[section].splitlines() if not line.startswith(f"{name} =")]
    tables[section] = "\n".join([*lines, f"{name} = {value}", ""])
    return "".join(tables.values())
