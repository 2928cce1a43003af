"""`check-config`: every problem at once, files included, and what sound settings come to."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import respx

from gateway.tokens.mint import Minter, new_private_jwk
from tests.cli.support import Place, place

ISSUER = """
[[issuers]]
issuer = "https://idp.example"
jwks = "{jwks}"
audience = "http://127.0.0.1:8080/fhir"
binding = "lookup"
"""
KEY_SET = json.dumps(Minter(new_private_jwk(), "https://idp.example").public_jwks())


def test_sound_settings_are_summed_up(made: Place) -> None:
    said = made.good("check-config")
    assert said.startswith(f"ok: {made.config}\n")
    assert f"listens on 127.0.0.1:{made.port}" in said
    assert "upstream main (R4): /fhir -> http://127.0.0.1:9/fhir" in said
    assert "not made yet" not in said
    assert made.json("check-config") == {"ok": True, "problems": []}


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


@pytest.mark.parametrize(
    ("metadata", "keys", "problems"),
    [
        (httpx.Response(200, json={}), httpx.Response(200, text=KEY_SET), 0),
        (httpx.Response(503), httpx.Response(200, text=KEY_SET), 1),
        (httpx.Response(200, json={}), httpx.Response(200, text="{}"), 1),
        (httpx.ConnectError("no"), httpx.Response(404), 2),
    ],
    ids=["all answer", "no upstream", "no keys", "nobody"],
)
@respx.mock
def test_other_machines_are_asked_only_online(
    tmp_path: Path, metadata: httpx.Response | Exception, keys: httpx.Response, problems: int
) -> None:
    checked = place(tmp_path, extra=ISSUER.format(jwks="https://idp.example/keys"))
    asked = respx.get("http://127.0.0.1:9/fhir/metadata").mock(side_effect=[metadata])
    respx.get("https://idp.example/keys").mock(return_value=keys)
    checked.good("check-config")
    assert asked.call_count == 0
    result = checked.run("check-config", "--online", "--json")
    assert asked.call_count == 1
    assert len(json.loads(result.stdout)["problems"]) == problems
    assert result.exit_code == (2 if problems else 0)
