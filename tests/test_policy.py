"""The policy digest: every setting that decides changes it, no other does, and no way of writing them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import mapping
from gateway.config import Settings, load
from gateway.config.settings import LISTS, SETTINGS
from gateway.policy import DECIDES_NOTHING, _plain, deciding, digest_of

Tables = Mapping[str, Mapping[str, str]]
"""Settings as a file has them: values in TOML, by section and name."""

BASE: Tables = {
    "server": {"public_url": '"https://gateway.example"'},
    "server.tls": {"certificate": '"own.pem"', "key": '"own.key"', "client_ca": '"clients.pem"'},
    "ledger": {"origin": '"hospital.example/consentry"'},
    "auth": {"registration_token": '"first"'},
    "consent": {},
    "labels": {},
    "break_glass": {"notify": '"https://told.example"'},
    "upstreams": {
        "name": '"main"',
        "path": '"/fhir"',
        "base_url": '"http://127.0.0.1:8090/fhir"',
        "fhir_version": '"R4"',
    },
    "issuers": {
        "issuer": '"https://idp.example"',
        "jwks": '"keys.json"',
        "audience": '"https://gateway.example/fhir"',
    },
    "login_providers": {
        "name": '"hospital"',
        "title": '"St Example"',
        "issuer": '"https://login.example"',
        "client_id": '"gateway"',
        "client_secret": '"s3cret"',
    },
    "studies": {
        "id": '"heart"',
        "clients": '["heart-app"]',
        "codes": '["http://loinc.org|8480-6"]',
        "until": '"2026-05-01"',
    },
}

DECIDING = {
    "server": {"public_url": '"https://other.example"', "trusted_proxies": '["10.0.0.0/8"]'},
    "server.tls": {"client_certificates": '"request"'},
    "auth": {"registration": '"open"', "local_log_in": "false", "majority": "16"},
    "consent": {
        "implicit": '"deny"',
        "nesting": '"contain"',
        "notice": '"explicit"',
        "organization": '"hospital-1"',
        "role_required": "true",
        "categories": '["http://loinc.org|64292-6"]',
        "verified_only": "true",
        "custodians": '["hospital-1"]',
        "case_kept": "10",
        "legal_hold": '["LITIGATION"]',
        "part_of": '{ward-1 = "hospital-1"}',
        "groups": '{"group:night" = ["practitioner:ann"]}',
    },
    "labels": {
        "confidence": "0.25",
        "context": '"all"',
        "part2_organizations": '["detox"]',
        "part2_sources": '["http://detox.example"]',
        "employees": '["pat-a"]',
        "vips": '["pat-b"]',
        "victims": '["pat-b"]',
        "adolescent": '"12-18"',
    },
    "break_glass": {
        "roles": '["clinician"]',
        "review_within_days": "3",
        "key_required": "true",
        "notify": '"https://notices.example"',
    },
    "upstreams": {
        "path": '"/other"',
        "base_url": '"http://127.0.0.1:8091/fhir"',
        "fhir_version": '"R5"',
        "narrow_limit": "5",
    },
    "issuers": {
        "issuer": '"https://other.example"',
        "jwks": '"https://idp.example/keys"',
        "audience": '"https://gateway.example/audience"',
        "binding": '"lookup"',
        "algorithms": '["ES256"]',
        "default_purpose": '"HPAYMT"',
        "max_lifetime_s": "60",
    },
    "login_providers": {
        "issuer": '"https://other.example"',
        "subject_claim": '"email"',
        "fhir_user_base": '"https://login.example/fhir"',
        "second_factor": '["mfa"]',
        "max_age_s": "60",
        "algorithms": '["ES256"]',
    },
    "studies": {
        "id": '"lung"',
        "clients": '["lung-app"]',
        "codes": '["http://loinc.org|8462-4"]',
        "until": '"2026-06-01"',
        "dates": '"year"',
        "role": '"observer"',
    },
}
NOT_DECIDING = {
    "server": {
        "host": '"0.0.0.0"',
        "port": "9000",
        "workers": "2",
        "http": '"h11"',
        "log_level": '"debug"',
        "max_body_bytes": "4096",
        "client_address_header": '"Forwarded"',
    },
    "server.tls": {"certificate": '"new.pem"', "key": '"new.key"', "client_ca": '"new-clients.pem"'},
    "ledger": {
        "origin": '"clinic.example/consentry"',
        "store": '"sqlite:///other.db"',
        "keys": '"other-keys"',
    },
    "auth": {"registration_token": '"second"'},
    "break_glass": {"notify_authorization": '"Bearer s3cret"'},
    "upstreams": {
        "name": '"other"',
        "authorization": '"Bearer s3cret"',
        "timeout_s": "5",
        "max_body_bytes": "4096",
        "max_count": "20",
    },
    "login_providers": {
        "name": '"clinic"',
        "title": '"St Other"',
        "client_id": '"other"',
        "client_secret": '"s3cret2"',
        "scopes": '["openid", "email"]',
        "resource": '"https://login.example/fhir"',
    },
}

FILES = ("own.pem", "own.key", "clients.pem", "new.pem", "new.key", "new-clients.pem", "keys.json")


def rows(tables: Tables) -> list[tuple[str, str, str]]:
    return [(section, name, value) for section, table in tables.items() for name, value in table.items()]


def text_of(tables: Tables) -> str:
    lines = []
    for section, table in tables.items():
        lines += [f"[[{section}]]" if section in LISTS else f"[{section}]"]
        lines += [f"{name} = {value}" for name, value in table.items()]
    return "\n".join([*lines, ""])


def read(folder: Path, tables: Tables) -> Settings:
    path = folder / "consentry.toml"
    path.write_text(text_of(tables))
    for name in FILES:
        (folder / name).write_text("")
    return load(path, {})


def changed(section: str, name: str, value: str) -> Tables:
    return {**BASE, section: {**BASE[section], name: value}}


def test_every_setting_has_its_row() -> None:
    every = {(section, name) for section, table in SETTINGS.items() for name in table}
    # The other form of the provider's secret, which stands for the same.
    named = [(section, name) for section, name, _ in chain(rows(DECIDING), rows(NOT_DECIDING))]
    assert len(named) == len(set(named))
    assert every - set(named) == {("login_providers", "client_key")}
    assert set(named) <= every


@pytest.mark.parametrize(("section", "name", "value"), rows(DECIDING))
def test_a_setting_that_decides_changes_the_policy(
    tmp_path: Path, section: str, name: str, value: str
) -> None:
    assert digest_of(read(tmp_path, changed(section, name, value))) != digest_of(read(tmp_path, BASE))


@pytest.mark.parametrize(("section", "name", "value"), rows(NOT_DECIDING))
def test_a_setting_that_decides_nothing_leaves_the_policy(
    tmp_path: Path, section: str, name: str, value: str
) -> None:
    other = read(tmp_path, changed(section, name, value))
    assert other != read(tmp_path, BASE)
    assert digest_of(other) == digest_of(read(tmp_path, BASE))


def test_what_is_listed_as_deciding_nothing_is_a_setting() -> None:
    for section, names in DECIDES_NOTHING.items():
        assert names <= SETTINGS[section].keys()


def test_settings_that_all_differ_give_digests_that_all_differ(tmp_path: Path) -> None:
    whole = [BASE, *(changed(*row) for row in rows(DECIDING))]
    assert len({digest_of(read(tmp_path, tables)) for tables in whole}) == len(whole)


def test_mappings_change_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = read(tmp_path, BASE)
    before = digest_of(here)
    assert re.fullmatch("[0-9a-f]{64}", before)
    monkeypatch.setattr(mapping, "digest", lambda: "0" * 64)
    assert digest_of(here) != before


def test_who_stands_in_a_list_counts_and_not_where_it_stands(tmp_path: Path) -> None:
    digests = []
    for name, lines in (
        ("a.txt", "pat-a\npat-b\n"),
        ("b.txt", "# as of today\npat-b\n\npat-a"),
        ("c.txt", "pat-a"),
    ):
        (tmp_path / name).write_text(lines)
        digests.append(digest_of(read(tmp_path, changed("labels", "employees", f'"{name}"'))))
    same = digest_of(read(tmp_path, changed("labels", "employees", '["pat-b", "pat-a"]')))
    assert digests[0] == digests[1] == same != digests[2]


def test_another_folder_is_no_other_policy(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        digests.add(digest_of(read(tmp_path / name, BASE)))
    assert len(digests) == 1


def test_neither_secrets_nor_places_on_this_machine_are_in_it(tmp_path: Path) -> None:
    said = str(deciding(read(tmp_path, BASE)))
    assert "s3cret" not in said
    assert "first" not in said
    assert str(tmp_path) not in said


LISTED = {
    "custodians": ["ward-1", "ward-2", "ward-3"],
    "legal_hold": ["AUDITED", "LITIGATION"],
    "categories": ["http://loinc.org|59284-0", "http://loinc.org|64292-6"],
}
PARTS = {f"ward-{number}": "hospital-1" for number in range(4)}
UPSTREAMS = [{**BASE["upstreams"], "name": f'"u{n}"', "path": f'"/u{n}"'} for n in range(3)]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_order_and_no_way_of_writing_matters(data: st.DataObject) -> None:
    def drawn(parts: list[str]) -> list[str]:
        return data.draw(st.permutations(parts))

    lists = {name: drawn(values) for name, values in LISTED.items()}
    lines = [f"{name} = {values}" for name, values in lists.items()]
    parts = [f'{part} = "{whole}"' for part, whole in PARTS.items()]
    consent = "\n".join(["[consent]", *drawn(lines), "[consent.part_of]", *drawn(parts), ""])
    upstreams = drawn([text_of({"upstreams": each}) for each in UPSTREAMS])
    head = text_of({"server": BASE["server"], "ledger": BASE["ledger"]})
    sections = drawn([head, consent, *upstreams])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "consentry.toml"
        path.write_text("\n".join(sections))
        one = digest_of(load(path, {}))
        path.write_text("\n".join([head, *(text_of({"upstreams": each}) for each in UPSTREAMS)]))
        said = {f"CONSENTRY_CONSENT__{name.upper()}": ",".join(values) for name, values in LISTED.items()}
        table = "{" + ",".join(f'"{part}":"{whole}"' for part, whole in PARTS.items()) + "}"
        assert digest_of(load(path, {**said, "CONSENTRY_CONSENT__PART_OF": table})) == one


def test_a_kind_of_setting_that_is_not_known_is_an_error() -> None:
    with pytest.raises(TypeError, match="of type complex"):
        _plain(1j)
