"""The keys are made once; the ledger begins with who signs it."""

from __future__ import annotations

import stat

import pytest

from gateway.ledger.keys import init_keys
from tests.cli.support import Place


def test_init_makes_keys_and_a_ledger_that_begins_with_them(bare: Place) -> None:
    public = bare.json("keys", "init")
    first, second = (bare.json("ledger", "entry", str(index)) for index in (0, 1))
    assert [first["kind"], second["kind"]] == ["key.rotate", "key.rotate"]
    assert (first["facts"]["kind"], first["facts"]["old"]) == ("log", None)
    assert (second["facts"]["kind"], second["facts"]["old"]) == ("gw", None)
    assert first["facts"]["new"] == public["log"]["vkey"]
    assert second["facts"]["new"] == public["gateway"]["vkey"]
    assert bare.json("ledger", "verify")["size"] == 2
    assert stat.S_IMODE((bare.folder / "keys").stat().st_mode) == 0o700


def test_a_second_init_changes_nothing(made: Place) -> None:
    before = {path: path.read_bytes() for path in (made.folder / "keys").iterdir()}
    assert "nothing was changed" in made.refused("keys", "init")
    assert {path: path.read_bytes() for path in (made.folder / "keys").iterdir()} == before
    assert made.json("ledger", "head")["size"] == 2


def test_an_init_of_a_folder_from_before_id_tokens_makes_their_key_alone(made: Place) -> None:
    before = {path: path.read_bytes() for path in (made.folder / "keys").iterdir()}
    key = made.folder / "keys/openid.jwk"
    key.unlink()
    made.good("keys", "init")
    after = {path: path.read_bytes() for path in (made.folder / "keys").iterdir()}
    assert after.pop(key) != before.pop(key)
    assert after == before
    assert made.json("ledger", "head")["size"] == 2


def test_an_init_that_was_cut_off_after_the_keys_goes_on(bare: Place) -> None:
    ring = init_keys(bare.folder / "keys", "hospital.example/consentry")
    assert bare.json("keys", "init")["log"]["vkey"] == str(ring.log.verifier)
    assert bare.json("ledger", "head")["size"] == 2


def test_an_init_that_was_cut_off_before_the_first_entries_goes_on(
    bare: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("gateway.cli.keys.in_house", _cut_off)
        bare.refused("keys", "init")
    assert bare.json("ledger", "head")["size"] == 0
    bare.good("keys", "init")
    assert bare.json("ledger", "head")["size"] == 2


def test_keys_of_another_ledger_are_refused(made: Place) -> None:
    made.config.write_text(made.config.read_text().replace("hospital.example", "clinic.example"))
    assert "hospital.example/consentry" in made.refused("consent", "show", "--patient", "pat-a")


def test_show_prints_public_halves_only(made: Place) -> None:
    shown = made.good("keys", "show")
    for name in ("log", "gateway"):
        assert (made.folder / "keys" / f"{name}.vkey").read_text().strip() in shown
    assert "PRIVATE" not in shown
    assert made.json("keys", "show")["log"]["name"] == "hospital.example/consentry"


def _cut_off(*_: object) -> None:
    raise OSError(28, "No space left on device")
