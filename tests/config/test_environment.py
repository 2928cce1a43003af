"""Settings of the environment, over those of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import LEAST, LEDGER, NUMBER_PORT, POSTGRESQL, SERVER, UPSTREAM, problems, read


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


FORM = "write CONSENTRY_SECTION__NAME, or CONSENTRY_SECTION__INDEX__NAME for a list"
DID_YOU_MEAN = f"environment: {FORM}; did you mean CONSENTRY_"
BAD_VARIABLES = [
    ("CONSENTRY_SERVER__PORT", "http", f"server.port: {NUMBER_PORT}"),
    ("CONSENTRY_SERVER__PORT", "80.5", f"server.port: {NUMBER_PORT}"),
    ("CONSENTRY_SERVER__PORT", "", f"server.port: {NUMBER_PORT}"),
    ("CONSENTRY_SERVER__PROT", "1", "server.prot: there is no such setting; did you mean port?"),
    ("CONSENTRY_SERVER__TLS__CLIENT_CA", "k", "server.tls.client_ca: write the path of a file"),
    ("CONSENTRY_SERVER__TLS__KEYS", "k", "server.tls.keys: there is no such setting; did you mean key?"),
    ("CONSENTRY_SERVER__TSL__KEY", "k", "server.tsl__key: there is no such setting; "),
    ("CONSENTRY_SERVER__TLS_KEY", "k", "server.tls_key: there is no such setting; "),
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


@pytest.mark.parametrize("text", ["9 000", "1_000", "+1", "-1", "0x10", "1e3", "\u0661", "nan", "9" * 5000])
def test_numbers_in_the_environment_are_plain(tmp_path: Path, text: str) -> None:
    found = problems(tmp_path, LEAST, CONSENTRY_SERVER__PORT=text)
    assert found[1:] == [f"environment CONSENTRY_SERVER__PORT: server.port: {NUMBER_PORT}"]
