"""Reading the configuration: good files as values, bad ones as the exact text an operator sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Secret, Settings, load
from gateway.config.kinds import RESERVED_PATHS, Kind
from gateway.config.reference import updated
from gateway.config.settings import LISTS, SECTIONS, SETTINGS
from gateway.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent

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


SEVERAL = (
    "there are several upstreams: write the FHIR base of one, "
    "http://127.0.0.1:8080/fhir or http://127.0.0.1:8080/b"
)


def read(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "consentry.toml"
    path.write_text(text)
    return load(path, environ)


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    """What is wrong, a line each, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text, **environ)
    return caught.value.text.replace(f"{folder}/", "").splitlines()


def test_the_least_file_has_defaults_for_the_rest(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST)
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 8080, 1)
    assert settings.server.log_level == "info"
    assert settings.ledger.store == tmp_path / "ledger.db"
    assert settings.ledger.keys == tmp_path / "keys"
    (upstream,) = settings.upstreams
    assert (upstream.timeout_s, upstream.max_count, upstream.authorization) == (30.0, 200, None)
    assert settings.issuers == ()


def test_every_setting_is_read(tmp_path: Path) -> None:
    (tmp_path / "idp-keys.json").write_text("{}")
    settings = read(tmp_path, FULL)
    assert settings.server.host == "::1"
    assert settings.server.port == 9000
    assert settings.server.public_url == "https://records.hospital.example"
    assert (settings.server.workers, settings.server.log_level) == (2, "warning")
    assert settings.server.http == "h11"
    assert settings.server.max_body_bytes == 4096
    assert settings.ledger.origin == "hospital.example/consentry"
    assert settings.ledger.store == Path("/var/lib/consentry/ledger.db")
    assert settings.ledger.keys == Path("/etc/consentry/keys")
    main, research = settings.upstreams
    assert (main.name, main.path, main.fhir_version) == ("main", "/fhir", "R4")
    assert main.base_url == "http://10.0.0.5:8090/fhir"
    assert (main.timeout_s, main.max_body_bytes, main.max_count, main.narrow_limit) == (2.5, 1048576, 50, 5)
    assert main.authorization == Secret("Bearer s3cret")
    assert (research.path, research.base_url) == ("/r5/fhir", "https://fhir_r5.internal")
    (issuer,) = settings.issuers
    assert issuer.issuer == "https://idp.example/"
    assert issuer.jwks == tmp_path / "idp-keys.json"
    assert (issuer.binding, issuer.algorithms) == ("lookup", ("ES384",))
    assert (issuer.default_purpose, issuer.max_lifetime_s) == ("HPAYMT", 300)


def test_the_gateway_s_own_issuer_is_implied(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST)
    assert settings.issuer == "http://127.0.0.1:8080"
    assert settings.audience(settings.upstreams[0]) == "http://127.0.0.1:8080/fhir"


def test_each_issuer_is_for_the_upstream_whose_base_it_names(tmp_path: Path) -> None:
    second = UPSTREAM.replace('"main"', '"b"').replace('"/fhir"', '"/b"')
    settings = read(tmp_path, LEAST + second + ISSUER)
    assert [settings.issuers_of(upstream) for upstream in settings.upstreams] == [settings.issuers, ()]


@pytest.mark.parametrize("audience", ["http://127.0.0.1:8080/fhir", "urn:hospital:fhir"])
def test_any_audience_is_for_the_only_upstream(tmp_path: Path, audience: str) -> None:
    settings = read(tmp_path, LEAST + ISSUER.replace("http://127.0.0.1:8080/fhir", audience))
    assert settings.issuers_of(settings.upstreams[0]) == settings.issuers


def test_secrets_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "idp-keys.json").write_text("{}")
    settings = read(tmp_path, FULL)
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in f"{settings.upstreams[0].authorization}"


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        LEAST,
        CONSENTRY_SERVER__PORT="9001",
        CONSENTRY_SERVER__HOST="0.0.0.0",
        CONSENTRY_LEDGER__STORE="sqlite:///other.db",
        CONSENTRY_UPSTREAMS__0__BASE_URL="https://fhir.example/r4",
        CONSENTRY_UPSTREAMS__0__TIMEOUT_S="1.5",
        CONSENTRY_REQUIRE="all",
        CONSENTRY_FSCK="/usr/bin/fsck",
        OTHER__THING="1",
    )
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 9001)
    assert settings.ledger.store == tmp_path / "other.db"
    assert settings.upstreams[0].base_url == "https://fhir.example/r4"
    assert settings.upstreams[0].timeout_s == 1.5


def test_the_environment_adds_tables(tmp_path: Path) -> None:
    environ = {
        f"CONSENTRY_UPSTREAMS__{index}__{name}": value
        for index in range(11)
        for name, value in {
            "NAME": f"u{index}",
            "PATH": f"/u{index}",
            "BASE_URL": "http://h/fhir",
            "FHIR_VERSION": "R4",
        }.items()
    }
    environ |= {
        "CONSENTRY_ISSUERS__0__ISSUER": "https://idp.example",
        "CONSENTRY_ISSUERS__0__JWKS": "https://idp.example/keys?v=2",
        "CONSENTRY_ISSUERS__0__AUDIENCE": "http://127.0.0.1:8080/u10",
        "CONSENTRY_ISSUERS__0__ALGORITHMS": "ES384, RS384",
    }
    settings = read(tmp_path, SERVER + LEDGER, **environ)
    assert [upstream.name for upstream in settings.upstreams] == [f"u{index}" for index in range(11)]
    assert settings.issuers[0].algorithms == ("ES384", "RS384")
    assert settings.issuers[0].jwks == "https://idp.example/keys?v=2"


def test_a_whole_configuration_may_come_from_the_environment(tmp_path: Path) -> None:
    environ = {
        "CONSENTRY_SERVER__PUBLIC_URL": "http://127.0.0.1:8080",
        "CONSENTRY_LEDGER__ORIGIN": "hospital.example/consentry",
        "CONSENTRY_UPSTREAMS__0__NAME": "main",
        "CONSENTRY_UPSTREAMS__0__PATH": "/fhir",
        "CONSENTRY_UPSTREAMS__0__BASE_URL": "http://127.0.0.1:8090/fhir",
        "CONSENTRY_UPSTREAMS__0__FHIR_VERSION": "R4",
    }
    assert read(tmp_path, "", **environ) == read(tmp_path, LEAST)


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
]


@pytest.mark.parametrize(("section", "name", "value"), GOOD_VALUES)
def test_good_value(tmp_path: Path, section: str, name: str, value: str) -> None:
    read(tmp_path, with_value(section, name, value))


NUMBER_PORT = "write a whole number from 1 to 65535"
BYTES = "write a whole number from 1024 to 1073741824"
SECONDS = "write a number of seconds above 0 and up to 600"
HOST = 'write a host name or an IP address, such as "127.0.0.1"'
URL = 'write a URL such as "https://host.example/fhir"'
NO_USER = "write the URL without user and password"
NO_QUERY = "write the URL without query and fragment"
ORIGIN = 'write a name such as "hospital.example/consentry": a URL without its scheme, spaces or "+"'
STORE = 'write "sqlite:///" and the path of a file, such as "sqlite:///ledger.db"'
DURABLE = "write the path of a file: a ledger has to outlast the process"
POSTGRESQL = 'this release has no PostgreSQL store; write "sqlite:///ledger.db"'
PATH = 'write a path such as "/fhir": a slash, then letters, digits and . _ ~ -, no closing slash'
DOTS = 'write a path without "." and ".." segments'
NAME = "write up to 32 lower-case letters, digits and hyphens"
HTTPS = "use https: over plain http anyone on the way can replace the keys"
ALGORITHMS = (
    "write a list of one or more of "
    "ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512, EdDSA, each once"
)
RESERVED = (
    "choose another path: the gateway itself answers below "
    "/auth, /ledger, /console, /admin, /healthz, /readyz, /metrics"
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
]


def with_value(section: str, name: str, value: str) -> str:
    """A good file with one value replaced or added."""
    tables = {"server": SERVER, "ledger": LEDGER, "upstreams": UPSTREAM, "issuers": ISSUER}
    lines = [line for line in tables[section].splitlines() if not line.startswith(f"{name} =")]
    tables[section] = "\n".join([*lines, f"{name} = {value}", ""])
    return "".join(tables.values())


@pytest.mark.parametrize(("section", "name", "value", "expected"), BAD_VALUES)
def test_bad_value(tmp_path: Path, section: str, name: str, value: str, expected: str) -> None:
    text = with_value(section, name, value)
    line = text.splitlines().index(f"{name} = {value}") + 1
    label = f"{section}[0]" if section in LISTS else section
    found = problems(tmp_path, text)
    assert found == ["consentry.toml: 1 problem", f"consentry.toml:{line}: {label}.{name}: {expected}"]
    assert "s3cret" not in "".join(found)


WHOLE_FILES = {
    "empty": (
        "",
        "consentry.toml:1: ledger.origin: is missing: "
        "The log's name in every checkpoint. It never changes once the ledger has entries.",
        "consentry.toml:1: server.public_url: is missing: "
        "What clients put before every path; also the gateway's own issuer.",
        "consentry.toml:1: upstreams: write at least one [[upstreams]] table",
    ),
    "missing_in_a_table_is_shown_at_its_header": (
        SERVER
        + LEDGER
        + UPSTREAM
        + '[[upstreams]]\npath = "/b"\nbase_url = "http://h"\nfhir_version = "R5"\n',
        "consentry.toml:10: upstreams[1].name: is missing: What `check-config` and `consentry token "
        "--upstream` call it; unique.",
    ),
    "unknown_setting_with_a_near_name": (
        SERVER + "prot = 1\n" + LEDGER + UPSTREAM,
        "consentry.toml:3: server.prot: there is no such setting; did you mean port?",
    ),
    "unknown_setting_in_other_case": (
        SERVER + "PORT = 1\n" + LEDGER + UPSTREAM,
        "consentry.toml:3: server.PORT: there is no such setting; did you mean port?",
    ),
    "unknown_setting_far_from_all": (
        SERVER + LEDGER + "xyzzy = 1\n" + UPSTREAM,
        "consentry.toml:5: ledger.xyzzy: there is no such setting; known are origin, store, keys",
    ),
    "unknown_section": (
        LEAST + "[issuer]\nx = 1\n",
        "consentry.toml:10: issuer: there is no such section; did you mean issuers?",
    ),
    "unknown_key_without_a_section": (
        "port = 1\n" + LEAST,
        "consentry.toml:1: port: there is no such section; known are server, ledger, upstreams, issuers",
    ),
    "list_written_as_a_table": (
        SERVER + LEDGER + UPSTREAM.replace("[[", "[").replace("]]", "]"),
        "consentry.toml:5: upstreams: write at least one [[upstreams]] table",
        "consentry.toml:5: upstreams: write it as [[upstreams]], once for each",
    ),
    "table_written_as_a_list": (
        SERVER.replace("[server]", "[[server]]") + LEDGER + UPSTREAM,
        "consentry.toml:1: server: write it as [server], once",
    ),
    "same_name_and_path": (
        LEAST + UPSTREAM,
        "consentry.toml:11: upstreams[1].name: choose another: consentry.toml:6 has the same",
        "consentry.toml:12: upstreams[1].path: choose another: consentry.toml:7 has the same",
    ),
    "path_below_another": (
        LEAST + UPSTREAM.replace('"main"', '"b"').replace('"/fhir"', '"/fhir/b"'),
        "consentry.toml:12: upstreams[1].path: choose a path that is not below another upstream's",
    ),
    "same_issuer": (
        LEAST + ISSUER + ISSUER,
        "consentry.toml:15: issuers[1].issuer: choose another: consentry.toml:11 has the same",
    ),
    "audience_of_none_of_several_upstreams": (
        LEAST
        + UPSTREAM.replace('"main"', '"b"').replace('"/fhir"', '"/b"')
        + ISSUER.replace("8080/fhir", "8080/c"),
        f"consentry.toml:18: issuers[0].audience: {SEVERAL}",
    ),
    "values_in_an_inline_table": (
        'server = { public_url = "http://h", port = 0 }\n' + LEDGER + UPSTREAM,
        f"consentry.toml:1: server.port: {NUMBER_PORT}",
    ),
    "dotted_keys_and_quotes": (
        'server.public_url = "http://h"\nserver."port" = 0\n' + LEDGER + UPSTREAM,
        f"consentry.toml:2: server.port: {NUMBER_PORT}",
    ),
    "many_at_once_in_the_order_of_the_file": (
        SERVER + "port = 0\n" + LEDGER.replace("consentry", "a b") + UPSTREAM.replace("R4", "R3"),
        f"consentry.toml:3: server.port: {NUMBER_PORT}",
        f"consentry.toml:5: ledger.origin: {ORIGIN}",
        "consentry.toml:10: upstreams[0].fhir_version: write one of R4, R4B, R5",
    ),
}


@pytest.mark.parametrize("case", WHOLE_FILES.values(), ids=WHOLE_FILES)
def test_bad_file(tmp_path: Path, case: tuple[str, ...]) -> None:
    text, *expected = case
    count = f"{len(expected)} problem{'s' if len(expected) > 1 else ''}"
    assert problems(tmp_path, text) == [f"consentry.toml: {count}", *expected]


FORM = "write CONSENTRY_SECTION__NAME, or CONSENTRY_SECTION__INDEX__NAME for a list"
DID_YOU_MEAN = f"environment: {FORM}; did you mean CONSENTRY_"
BAD_VARIABLES = [
    ("CONSENTRY_SERVER__PORT", "http", f"server.port: {NUMBER_PORT}"),
    ("CONSENTRY_SERVER__PORT", "80.5", f"server.port: {NUMBER_PORT}"),
    ("CONSENTRY_SERVER__PORT", "", f"server.port: {NUMBER_PORT}"),
    ("CONSENTRY_SERVER__PROT", "1", "server.prot: there is no such setting; did you mean port?"),
    ("CONSENTRY_SERVER__TLS__KEY", "k", "server.tls__key: there is no such setting; "),
    ("CONSENTRY_SERVR__PORT", "1", f"{DID_YOU_MEAN}SERVER__PORT?"),
    ("CONSENTRY_server__port", "1", f"{DID_YOU_MEAN}SERVER__PORT?"),
    ("CONSENTRY_SERVER_PORT", "1", f"{DID_YOU_MEAN}SERVER__PORT?"),
    ("CONSENTRY_server_port", "1", f"{DID_YOU_MEAN}SERVER__PORT?"),
    ("CONSENTRY_LEDGER_STORE", "s3cret", f"{DID_YOU_MEAN}LEDGER__STORE?"),
    ("CONSENTRY_UPSTREAMS_1_BASE_URL", "a", f"{DID_YOU_MEAN}UPSTREAMS__1__BASE_URL?"),
    ("CONSENTRY_UPSTREAM_NAME", "a", f"{DID_YOU_MEAN}UPSTREAMS__0__NAME?"),
    ("CONSENTRY_ISSUER__0__JWKS", "a", f"{DID_YOU_MEAN}ISSUERS__0__JWKS?"),
    ("CONSENTRY_SERVER_TCP_ADDRESS_OF_SOME", "a", f"environment: {FORM}"),
    ("CONSENTRY_SERVER__0__PORT", "1", f"environment: {FORM}"),
    ("CONSENTRY_UPSTREAMS__NAME", "a", f"environment: {FORM}"),
    ("CONSENTRY_UPSTREAMS__00__NAME", "a", f"environment: {FORM}"),
    ("CONSENTRY_UPSTREAMS__2__NAME", "a", "upstreams: the next free index is 1"),
    ("CONSENTRY_LEDGER__STORE", "postgresql://u:s3cret@db/x", f"ledger.store: {POSTGRESQL}"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD_VARIABLES)
def test_bad_variable(tmp_path: Path, name: str, value: str, expected: str) -> None:
    heading, found = problems(tmp_path, LEAST, **{name: value})
    assert heading == "consentry.toml: 1 problem"
    assert found.startswith(f"environment {name}: {expected}")
    assert "s3cret" not in found


@pytest.mark.parametrize(
    "name", ["CONFIG", "HTTP", "REQUIRE", "FSCK", "DEFINITIONS", "SERVICE_HOST", "SERVERLESS"]
)
def test_other_variables_are_not_looked_at(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, LEAST, **{f"CONSENTRY_{name}": "1"}) == read(tmp_path, LEAST)


def test_problems_of_the_file_come_before_those_of_the_environment(tmp_path: Path) -> None:
    found = problems(tmp_path, SERVER + LEDGER + UPSTREAM.replace("R4", "R3"), CONSENTRY_SERVER__PORT="0")
    assert [line.partition(": ")[0] for line in found[1:]] == [
        "consentry.toml:9",
        "environment CONSENTRY_SERVER__PORT",
    ]


NOT_READABLE = {
    "not_toml": (b'[server]\nhost = "a\n', "consentry.toml:2: not TOML: "),
    "key_twice": (b"[server]\nport = 1\nport = 2\n", "consentry.toml:3: not TOML: "),
    "cut_off": (b"[server]\nhost = [1,\n", "consentry.toml:2: not TOML: "),
    "not_utf8": (b'[server]\nhost = "\xff"\n', "consentry.toml: save it as UTF-8, which TOML requires"),
}


@pytest.mark.parametrize(("data", "expected"), NOT_READABLE.values(), ids=NOT_READABLE)
def test_not_readable(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "consentry.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.text.startswith(f"{tmp_path}/{expected}")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", {})
    expected = (
        f"{tmp_path}/none.toml: cannot be read (No such file or directory); give its path with --config"
    )
    assert caught.value.text == expected


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


@pytest.mark.parametrize("text", ["9 000", "1_000", "+1", "-1", "0x10", "1e3", "\u0661", "nan", "9" * 5000])
def test_numbers_in_the_environment_are_plain(tmp_path: Path, text: str) -> None:
    found = problems(tmp_path, LEAST, CONSENTRY_SERVER__PORT=text)
    assert found[1:] == [f"environment CONSENTRY_SERVER__PORT: server.port: {NUMBER_PORT}"]


def test_relative_paths_count_from_the_file_even_when_it_is_named_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "consentry.toml").write_text(LEAST)
    monkeypatch.chdir(tmp_path)
    settings = load(Path("etc/consentry.toml"), {})
    assert settings.ledger.store == tmp_path / "etc" / "ledger.db"
    assert settings.ledger.store.is_absolute()


def test_the_reference_is_in_step_with_the_settings() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert updated(page) == page, "run: make docs"


def test_the_reference_needs_its_marks() -> None:
    with pytest.raises(ValueError, match="settings: begin"):
        updated("a page without marks")


def test_defaults_pass_their_own_checks(tmp_path: Path) -> None:
    """Each default written out gives the same settings as leaving it out."""
    tables = {"server": SERVER, "ledger": LEDGER, "upstreams": UPSTREAM, "issuers": ISSUER}
    plain = read(tmp_path, "".join(tables.values()))
    for section in SECTIONS:
        rows = SETTINGS[section].items()
        defaults = [
            f"{name} = {json.dumps(row.default)}" for name, row in rows if not row.required and row.default
        ]
        tables[section] += "\n".join([*defaults, ""])
    assert read(tmp_path, "".join(tables.values())) == plain
