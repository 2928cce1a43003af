"""`check-config`: every problem at once, files included, and what sound settings come to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import respx
from jwcrypto.jwk import JWK

from gateway import mapping
from gateway.config import load
from gateway.errors import ConfigError
from gateway.policy import digest_of
from gateway.tokens.mint import Minter
from tests.cli.support import Place, place
from tests.upstreams.sandbox import sandbox

ISSUER = """
[[issuers]]
issuer = "https://idp.example"
jwks = "{jwks}"
audience = "http://127.0.0.1:8080/fhir"
binding = "lookup"
"""
KEY = JWK.generate(kty="EC", crv="P-256").export_private(as_dict=True)
KEY_SET = json.dumps(Minter(KEY, "https://idp.example").public_jwks())


def test_sound_settings_are_summed_up(made: Place) -> None:
    said = made.good("check-config")
    assert said.startswith(f"ok: {made.config}\n")
    assert f"listens on 127.0.0.1:{made.port}" in said
    assert "upstream main (R4): /fhir -> http://127.0.0.1:9/fhir" in said
    assert "not made yet" not in said
    decides = digest_of(load(made.config, {}))
    assert said.splitlines()[-1] == f"policy {decides}"
    assert made.json("check-config") == {"ok": True, "problems": [], "policy": decides}


def test_keys_that_are_not_made_yet_are_no_problem(bare: Place) -> None:
    assert "not made yet: run `consentry keys init`" in bare.good("check-config")


def test_all_problems_are_listed(bare: Place) -> None:
    bare.config.write_text(bare.config.read_text().replace("[server]", "[server]\nprot = 1\nworkers = 0"))
    result = bare.run("check-config")
    assert (result.exit_code, result.stdout) == (2, "")
    first, *problems = result.stderr.splitlines()
    assert first == f"{bare.config}: 2 problems"
    assert [problem.partition("server.")[2].split(":")[0] for problem in problems] == ["prot", "workers"]
    found = bare.run("check-config", "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout) == {"ok": False, "problems": problems}


def test_faults_of_roles_are_told(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty() -> None:
        raise ConfigError("mappings/roles/a.yaml:3: this\nmappings/roles/b.yaml:1: that")

    monkeypatch.setattr(mapping, "load_profiles", faulty)
    checked = made.run("check-config")
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert checked.stderr.splitlines() == [
        f"{made.config}: 2 problems",
        f"{made.config}: mappings/roles/a.yaml:3: this",
        f"{made.config}: mappings/roles/b.yaml:1: that",
    ]


@pytest.fixture
def own_mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the mappings that the commands read."""
    copied = tmp_path / "own-mappings"
    shutil.copytree(mapping.folder(), copied)
    monkeypatch.setattr(mapping, "_PLACES", (copied,))
    cached = (mapping.load_label_tables, mapping.load_interactions, mapping.digest)
    for each in cached:
        each.cache_clear()
    yield copied
    for each in cached:
        each.cache_clear()


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("sensitivity/hiv.json", '"B20-B24"', '"B20-B2"', " row 1: 'B20-B2' is no code of icd-10-cm"),
        ("sensitivity/hiv.json", '"rows": [', '"rows": [,', ":7: is not JSON: Expecting value"),
        ("sensitivity/std.json", '"label": "STD"', '"label": "ADOL"', " row 1: label comes from"),
        ("code-systems.json", '"systems"', '"system"', ": unknown or missing key"),
        ("label-places.json", '"upward"', '"upwards"', ": unknown or missing key"),
        ("interactions.json", '"pairs"', '"pair"', " cannot be used"),
        ("sensitivity/hiv.json", '"B20-B24"', '"B20-B24"', None),
    ],
)
def test_faults_of_label_tables_are_told(
    made: Place, own_mappings: Path, file: str, old: str, new: str, problem: str | None
) -> None:
    path = own_mappings / file
    path.write_text(path.read_text().replace(old, new, 1))
    checked = made.run("check-config", "--json")
    found = json.loads(checked.stdout)["problems"]
    if problem is None:
        assert (checked.exit_code, found) == (0, [])
    else:
        assert checked.exit_code == 2
        assert [told.startswith(f"mappings/{file}{problem}") for told in found] == [True], found


def test_a_file_that_is_missing_is_the_one_problem(tmp_path: Path) -> None:
    result = Place(tmp_path, 0).run("check-config")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(KEY_SET, None), ("{", "cannot be used"), ('{"keys": []}', "no key that can verify a token")],
    ids=["sound", "not JSON", "empty"],
)
def test_the_key_sets_of_issuers_are_read(tmp_path: Path, keys: str, expected: str | None) -> None:
    (tmp_path / "idp.json").write_text(keys)
    checked = place(tmp_path, extra=ISSUER.format(jwks="idp.json")).run("check-config")
    assert checked.exit_code == (0 if expected is None else 2)
    assert (expected or "") in checked.stderr


def test_a_key_folder_that_others_can_read_is_a_problem(made: Place) -> None:
    (made.folder / "keys").chmod(0o755)
    result = made.run("check-config")
    assert (result.exit_code, "chmod 700" in result.stderr) == (2, True)


def test_keys_of_another_ledger_are_a_problem(made: Place) -> None:
    made.config.write_text(made.config.read_text().replace("hospital.example", "clinic.example"))
    result = made.run("check-config")
    assert (result.exit_code, "ledger.origin" in result.stderr) == (2, True)


NARROWED = [{"name": "patient", "type": "reference"}]
PATIENT = {"type": "Patient", "searchParam": [{"name": "_id", "type": "token"}]}


def metadata(*resources: Mapping[str, object]) -> httpx.Response:
    tree = {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": [*resources]}]}
    return httpx.Response(200, json=tree)


SOUND = metadata(PATIENT, {"type": "Observation", "searchParam": NARROWED})


@pytest.mark.parametrize(
    ("answer", "keys", "problems"),
    [
        (SOUND, httpx.Response(200, text=KEY_SET), 0),
        (httpx.Response(503), httpx.Response(200, text=KEY_SET), 1),
        (SOUND, httpx.Response(200, text="{}"), 1),
        (httpx.ConnectError("no"), httpx.Response(404), 2),
    ],
    ids=["all answer", "no upstream", "no keys", "nobody"],
)
@respx.mock
def test_other_machines_are_asked_only_online(
    tmp_path: Path, answer: httpx.Response | Exception, keys: httpx.Response, problems: int
) -> None:
    checked = place(tmp_path, extra=ISSUER.format(jwks="https://idp.example/keys"))
    asked = respx.get("http://127.0.0.1:9/fhir/metadata").mock(side_effect=[answer])
    respx.get("https://idp.example/keys").mock(return_value=keys)
    checked.good("check-config")
    assert asked.call_count == 0
    result = checked.run("check-config", "--online", "--json")
    assert asked.call_count == 1
    assert len(json.loads(result.stdout)["problems"]) == problems
    assert result.exit_code == (2 if problems else 0)


LACKING = {
    "nothing is said": (httpx.Response(200, json={}), ["does not say what it can do"]),
    "one type": (
        metadata(PATIENT, {"type": "Observation", "searchParam": [{"name": "subject", "type": "reference"}]}),
        ["the search parameter patient of Observation, which narrows"],
    ),
    "several, by two parameters": (
        metadata({"type": "Patient"}, {"type": "Observation"}, {"type": "Condition"}),
        ["the search parameter patient of Condition, Observation,", "the search parameter _id of Patient,"],
    ),
}


@pytest.mark.parametrize("name", LACKING)
@respx.mock
def test_an_upstream_that_cannot_narrow_a_search_is_a_problem(bare: Place, name: str) -> None:
    answer, expected = LACKING[name]
    respx.get("http://127.0.0.1:9/fhir/metadata").mock(side_effect=[answer])
    result = bare.run("check-config", "--online")
    assert (result.exit_code, result.stdout) == (2, "")
    _, *problems = result.stderr.splitlines()
    assert len(problems) == len(expected)
    assert all(text in problem for text, problem in zip(expected, problems, strict=True)), problems
    assert all("upstreams: main " in problem for problem in problems)


def test_the_sandbox_has_all_that_is_needed(tmp_path: Path) -> None:
    with sandbox() as upstream:
        assert place(tmp_path, upstream.base_url).json("check-config", "--online")["ok"] is True
    assert "does not answer" in place(tmp_path, upstream.base_url).run("check-config", "--online").stderr
