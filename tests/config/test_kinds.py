"""Single values: what each setting takes, and the exact text about what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.kinds import RESERVED_PATHS, Kind
from gateway.config.settings import LISTS, SETTINGS
from tests.config.files import NUMBER_PORT, ORIGIN, POSTGRESQL, problems, read, with_value

GOOD_VALUES = [
    ("server", "host", '"0.0.0.0"'),
    ("server", "host", '"records.hospital.example"'),
    ("server", "http", '"h11"'),
    ("server", "port", "1"),
    ("server", "port", "65535"),
    ("server", "public_url", '"http://[::1]:8080"'),
    ("ledger", "origin", '"hospital.example:8443/log_1/2026"'),
    ("ledger", "store", '"sqlite:///data/ledger.db"'),
    ("upstreams", "name", '"a"'),
    ("upstreams", "path", '"/authority"'),
    ("upstreams", "path", '"/fhir/R4"'),
    ("upstreams", "path", '"/fhir/auth"'),
    ("upstreams", "base_url", '"https://fhir.example"'),
    ("upstreams", "timeout_s", "0.5"),
    ("upstreams", "timeout_s", "600"),
    ("upstreams", "fhir_version", '"R4B"'),
    ("issuers", "issuer", '"https://idp.example/realms/a"'),
    ("issuers", "jwks", '"http://127.0.0.1:9/keys"'),
    ("issuers", "jwks", '"http://localhost/keys"'),
    ("issuers", "algorithms", '["EdDSA", "PS256"]'),
    ("login_providers", "name", '"city-hospital"'),
    ("login_providers", "title", '"Städtisches Klinikum (SSO)"'),
    ("login_providers", "title", '"A"'),
    ("login_providers", "issuer", '"https://idp.example/"'),
    ("login_providers", "issuer", '"http://localhost:8081"'),
    ("login_providers", "client_id", '"https://gw.example/"'),
    ("login_providers", "scopes", '["profile", "openid"]'),
    ("login_providers", "subject_claim", '"https://hospital.example/employee"'),
    ("login_providers", "fhir_user_base", '"https://ehr.example/fhir/"'),
    ("login_providers", "second_factor", '["mfa", "urn:two"]'),
    ("login_providers", "max_age_s", "3600"),
]


@pytest.mark.parametrize(("section", "name", "value"), GOOD_VALUES)
def test_good_value(tmp_path: Path, section: str, name: str, value: str) -> None:
    read(tmp_path, with_value(section, name, value))


BYTES = "write a whole number from 1024 to 1073741824"
SECONDS = "write a number of seconds above 0 and up to 600"
HOST = 'write a host name or an IP address, such as "127.0.0.1"'
URL = 'write a URL such as "https://host.example/fhir"'
NO_USER = "write the URL without user and password"
NO_QUERY = "write the URL without query and fragment"
STORE = 'write "sqlite:///" and the path of a file, such as "sqlite:///ledger.db"'
DURABLE = "write the path of a file: a ledger has to outlast the process"
PATH = 'write a path such as "/fhir": a slash, then letters, digits and . _ ~ -, no closing slash'
DOTS = 'write a path without "." and ".." segments'
NAME = "write up to 32 lower-case letters, digits and hyphens"
HTTPS = "use https: over plain http anyone on the way can replace the keys"
ALGORITHMS = (
    "write a list of one or more of "
    "ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512, EdDSA, each once"
)
TITLE = "write what people call the provider, up to 60 characters"
WHO_LOGGED_IN = "use https: over plain http anyone on the way can say who logged in"
SCOPES = 'write a list of scopes, "openid" among them, each once'
METHODS = "write a list of one or more values of amr or acr, each once"
RESERVED = (
    "choose another path: the gateway itself answers below "
    "/.well-known, /auth, /ledger, /console, /admin, /healthz, /readyz, /metrics"
)
BAD_VALUES = [
    ("server", "host", '""', HOST),
    ("server", "host", '"a b"', HOST),
    ("server", "host", '"999.1.1.1"', HOST),
    ("server", "host", "8080", HOST),
    ("server", "port", "0", NUMBER_PORT),
    ("server", "port", "65536", NUMBER_PORT),
    ("server", "port", '"8080"', NUMBER_PORT),
    ("server", "port", "8080.0", NUMBER_PORT),
    ("server", "port", "true", NUMBER_PORT),
    (
        "server",
        "public_url",
        '"http://h/fhir"',
        "write scheme, host and port alone; paths belong to the upstreams",
    ),
    ("server", "public_url", '"records.hospital.example"', URL),
    ("server", "public_url", '"ftp://h"', URL),
    ("server", "workers", "0", "write a whole number from 1 to 64"),
    ("server", "http", '"uvicorn"', "write one of httptools, h11"),
    ("server", "log_level", '"INFO"', "write one of debug, info, warning, error"),
    ("server", "max_body_bytes", "1023", BYTES),
    ("ledger", "origin", '""', ORIGIN),
    ("ledger", "origin", '"https://hospital.example"', ORIGIN),
    ("ledger", "origin", '"hospital example"', ORIGIN),
    ("ledger", "origin", '"hospital+1"', ORIGIN),
    ("ledger", "origin", '"hospital.example/"', ORIGIN),
    ("ledger", "store", '"ledger.db"', STORE),
    ("ledger", "store", '"sqlite:///ledger.db?mode=ro"', STORE),
    ("ledger", "store", '"sqlite://"', STORE),
    ("ledger", "store", '"sqlite:///"', DURABLE),
    ("ledger", "store", '"sqlite:///:memory:"', DURABLE),
    ("ledger", "store", '"postgresql://consentry:s3cret@db/ledger"', POSTGRESQL),
    ("ledger", "keys", '""', "write the path of a folder"),
    ("upstreams", "name", '"Main"', NAME),
    ("upstreams", "name", '"main-"', NAME),
    ("upstreams", "name", f'"{"a" * 33}"', NAME),
    ("upstreams", "path", '"fhir"', PATH),
    ("upstreams", "path", '"/"', PATH),
    ("upstreams", "path", '"/fhir/"', PATH),
    ("upstreams", "path", '"/fh%69r"', PATH),
    ("upstreams", "path", '"/fhir/.."', DOTS),
    *(("upstreams", "path", f'"{path}"', RESERVED) for path in RESERVED_PATHS),
    ("upstreams", "path", '"/auth/fhir"', RESERVED),
    ("upstreams", "base_url", '"10.0.0.5/fhir"', URL),
    ("upstreams", "base_url", '"http:///fhir"', URL),
    ("upstreams", "base_url", '"http://h:99999/fhir"', URL),
    ("upstreams", "base_url", '"http://h/a b"', URL),
    ("upstreams", "base_url", '"http://h\\\\@evil/fhir"', URL),
    ("upstreams", "base_url", '"http://h/a/../b"', URL),
    ("upstreams", "base_url", '"http://user:s3cret@h/fhir"', NO_USER),
    ("upstreams", "base_url", '"http://h/fhir?"', NO_QUERY),
    ("upstreams", "base_url", '"http://h/fhir?tenant=1"', NO_QUERY),
    ("upstreams", "base_url", '"http://h/fhir#"', NO_QUERY),
    ("upstreams", "fhir_version", '"R3"', "write one of R4, R4B, R5"),
    ("upstreams", "fhir_version", "4", "write one of R4, R4B, R5"),
    (
        "upstreams",
        "authorization",
        '"Bearer s3cret\\n"',
        'write a header value of printable ASCII, such as "Bearer ..."',
    ),
    ("upstreams", "timeout_s", "0", SECONDS),
    ("upstreams", "timeout_s", "600.5", SECONDS),
    ("upstreams", "timeout_s", "nan", SECONDS),
    ("upstreams", "timeout_s", "false", SECONDS),
    ("upstreams", "max_count", "0", "write a whole number from 1 to 10000"),
    ("issuers", "issuer", '"idp.example"', URL),
    ("issuers", "issuer", '"https://idp.example?x=1"', NO_QUERY),
    (
        "issuers",
        "issuer",
        '"http://127.0.0.1:8080"',
        "leave it out: the gateway's own issuer is known without being listed",
    ),
    ("issuers", "jwks", '"http://idp.example/keys"', HTTPS),
    ("issuers", "jwks", '"http://127.0.0.1.example/keys"', HTTPS),
    ("issuers", "jwks", '"file:///etc/keys.json"', URL),
    (
        "issuers",
        "jwks",
        '"missing.json"',
        "there is no such file; save the issuer's JWK set there, or write its https URL",
    ),
    ("issuers", "audience", '""', "write the audience that this issuer's tokens name, without spaces"),
    ("issuers", "binding", '"none"', "write one of claim, lookup"),
    ("issuers", "algorithms", "[]", ALGORITHMS),
    ("issuers", "algorithms", '["HS256"]', ALGORITHMS),
    ("issuers", "algorithms", '["none"]', ALGORITHMS),
    ("issuers", "algorithms", '["ES256", "ES256"]', ALGORITHMS),
    ("issuers", "algorithms", '"ES256"', ALGORITHMS),
    ("issuers", "algorithms", "[[1]]", ALGORITHMS),
    ("issuers", "default_purpose", '"treat"', 'write a purpose-of-use code, such as "TREAT"'),
    ("issuers", "max_lifetime_s", "0", "write a whole number from 1 to 86400"),
    ("login_providers", "name", '"../a"', NAME),
    ("login_providers", "title", '""', TITLE),
    ("login_providers", "title", '" A"', TITLE),
    ("login_providers", "title", '"A\\nB"', TITLE),
    ("login_providers", "title", f'"{"a" * 61}"', TITLE),
    ("login_providers", "issuer", '"http://idp.example"', WHO_LOGGED_IN),
    ("login_providers", "issuer", '"https://idp.example?x=1"', NO_QUERY),
    (
        "login_providers",
        "issuer",
        '"http://127.0.0.1:8080"',
        "leave it out: the gateway's own issuer is known without being listed",
    ),
    ("login_providers", "client_id", '"a b"', "write the id that the provider knows this gateway by"),
    ("login_providers", "scopes", '["profile"]', SCOPES),
    ("login_providers", "scopes", '"openid"', SCOPES),
    ("login_providers", "scopes", '["openid", "openid"]', SCOPES),
    ("login_providers", "scopes", '["openid", "a b"]', SCOPES),
    ("login_providers", "subject_claim", '"a b"', 'write the name of a claim, such as "sub"'),
    ("login_providers", "second_factor", "[]", METHODS),
    ("login_providers", "second_factor", "[1]", METHODS),
    ("login_providers", "second_factor", '"mfa"', METHODS),
    ("login_providers", "max_age_s", "0", "write a whole number from 1 to 2592000"),
    ("login_providers", "algorithms", '["HS256"]', ALGORITHMS),
]


@pytest.mark.parametrize(("section", "name", "value", "expected"), BAD_VALUES)
def test_bad_value(tmp_path: Path, section: str, name: str, value: str, expected: str) -> None:
    text = with_value(section, name, value)
    line = text.splitlines().index(f"{name} = {value}") + 1
    label = f"{section}[0]" if section in LISTS else section
    found = problems(tmp_path, text)
    assert found == ["consentry.toml: 1 problem", f"consentry.toml:{line}: {label}.{name}: {expected}"]
    assert "s3cret" not in "".join(found)


TEXT = st.builds("{}s3cret{}".format, st.text() | st.sampled_from(["http://h", "sqlite:///"]), st.text())
RAW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KINDS = {f"{section}.{name}": row.kind for section, rows in SETTINGS.items() for name, row in rows.items()}


def refusal(kind: Kind, raw: object) -> str:
    try:
        kind.check(raw, Path("/nowhere"))
    except ValueError as error:
        return repr(error)
    return "ValueError('none: it was taken')"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@given(raw=RAW)
def test_any_raw_value_is_taken_or_refused_without_quoting_it(kind: Kind, raw: object) -> None:
    said = refusal(kind, raw)
    assert said.startswith("ValueError(")
    assert "s3cret" not in said
