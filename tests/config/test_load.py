"""Whole files: good ones as values, bad ones as the exact text an operator sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config import Secret, load
from gateway.config.settings import SECTIONS, SETTINGS
from gateway.errors import ConfigError
from tests.config.files import (
    FULL,
    ISSUER,
    LEAST,
    LEDGER,
    NUMBER_PORT,
    ORIGIN,
    PROVIDER,
    SERVER,
    STUDY,
    UPSTREAM,
    problems,
    read,
)


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


def test_relative_paths_count_from_the_file_even_when_it_is_named_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "consentry.toml").write_text(LEAST)
    monkeypatch.chdir(tmp_path)
    settings = load(Path("etc/consentry.toml"), {})
    assert settings.ledger.store == tmp_path / "etc" / "ledger.db"
    assert settings.ledger.store.is_absolute()


def test_defaults_pass_their_own_checks(tmp_path: Path) -> None:
    """Each default written out gives the same settings as leaving it out."""
    written = {
        "server": SERVER,
        "ledger": LEDGER,
        "upstreams": UPSTREAM,
        "issuers": ISSUER,
        "login_providers": PROVIDER,
        "studies": STUDY,
    }
    tables = {section: written.get(section, f"[{section}]\n") for section in SECTIONS}
    plain = read(tmp_path, "".join(tables.values()))
    for section in SECTIONS:
        rows = SETTINGS[section].items()
        defaults = [
            f"{name} = {json.dumps(row.default)}" for name, row in rows if not row.required and row.default
        ]
        tables[section] += "\n".join([*defaults, ""])
    assert read(tmp_path, "".join(tables.values())) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("closed", None)),
        ('[auth]\nregistration = "open"\n', ("open", None)),
        ('[auth]\nregistration = "token"\nregistration_token = "t0ken"\n', ("token", Secret("t0ken"))),
    ],
    ids=["unsaid", "open", "token"],
)
def test_who_may_register(tmp_path: Path, text: str, expected: tuple[str, Secret | None]) -> None:
    auth = read(tmp_path, LEAST + text).auth
    assert (auth.registration, auth.registration_token) == expected
    assert "t0ken" not in repr(auth)


def test_the_registration_token_may_come_by_environment(tmp_path: Path) -> None:
    path = tmp_path / "consentry.toml"
    path.write_text(LEAST + '[auth]\nregistration = "token"\n')
    settings = load(path, {"CONSENTRY_AUTH__REGISTRATION_TOKEN": "t0ken"})
    assert settings.auth.registration_token == Secret("t0ken")


def test_providers_to_log_in_at(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    by_key = PROVIDER.replace("hospital", "city").replace("realms/a", "realms/b")
    by_key = by_key.replace('client_secret = "s3cret"', 'client_key = "key.json"')
    settings = read(tmp_path, LEAST + "[auth]\nlocal_log_in = false\n" + PROVIDER + by_key)
    one, two = settings.login_providers
    assert (one.name, one.title, one.issuer) == ("hospital", "St Example", "https://idp.example/realms/a")
    assert (one.client_secret, one.client_key) == (Secret("s3cret"), None)
    assert (two.client_secret, two.client_key) == (None, tmp_path / "key.json")
    assert (one.scopes, one.subject_claim, one.second_factor, one.max_age_s) == (
        ("openid",),
        "sub",
        None,
        None,
    )
    assert not settings.auth.local_log_in
    assert "s3cret" not in repr(settings)


def test_a_client_secret_may_come_by_environment(tmp_path: Path) -> None:
    path = tmp_path / "consentry.toml"
    path.write_text(LEAST + PROVIDER.replace('client_secret = "s3cret"\n', ""))
    environment = {
        "CONSENTRY_LOGIN_PROVIDERS__0__CLIENT_SECRET": "s3cret",
        "CONSENTRY_LOGIN_PROVIDERS__0__SECOND_FACTOR": "mfa, otp",
        "CONSENTRY_AUTH__LOCAL_LOG_IN": "false",
    }
    settings = load(path, environment)
    assert settings.login_providers[0].client_secret == Secret("s3cret")
    assert settings.login_providers[0].second_factor == ("mfa", "otp")
    assert not settings.auth.local_log_in


SEVERAL = (
    "there are several upstreams: write the FHIR base of one, "
    "http://127.0.0.1:8080/fhir or http://127.0.0.1:8080/b"
)


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
        f"consentry.toml:1: port: there is no such section; known are {', '.join(SECTIONS)}",
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
    "registration_by_a_token_that_is_not_there": (
        LEAST + '[auth]\nregistration = "token"\n',
        "consentry.toml:10: auth.registration_token: set it: clients register with it",
    ),
    "break_glass_that_nobody_is_told_of": (
        LEAST + '[break_glass]\nroles = ["clinician"]\n',
        "consentry.toml:11: break_glass.notify: set it: patient and privacy officer are told at once",
    ),
    "registration_in_another_way": (
        LEAST + '[auth]\nregistration = "Open"\n',
        "consentry.toml:11: auth.registration: write one of closed, token, open",
    ),
    "nobody_could_log_in": (
        LEAST + "[auth]\nlocal_log_in = false\n",
        "consentry.toml:11: auth.local_log_in: write at least one [[login_providers]] table, or nobody can "
        "log in",
    ),
    "neither_true_nor_false": (
        LEAST + '[auth]\nlocal_log_in = "false"\n',
        "consentry.toml:11: auth.local_log_in: write true or false",
    ),
    "a_provider_without_a_proof_of_who_we_are": (
        LEAST + PROVIDER.replace('client_secret = "s3cret"\n', ""),
        "consentry.toml:10: login_providers[0].client_secret: write one of client_secret and client_key",
    ),
    "a_provider_with_two_proofs": (
        LEAST + PROVIDER + 'client_key = "consentry.toml"\n',
        "consentry.toml:10: login_providers[0].client_key: leave out one of the two",
    ),
    "a_provider_twice": (
        LEAST + PROVIDER + PROVIDER,
        "consentry.toml:17: login_providers[1].name: choose another: consentry.toml:11 has the same",
        "consentry.toml:19: login_providers[1].issuer: choose another: consentry.toml:13 has the same",
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
