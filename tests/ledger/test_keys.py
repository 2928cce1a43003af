from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from gateway.core.tlog.note import SignerSeed, VerifierKey
from gateway.errors import ConfigError
from gateway.ledger.keys import add_openid_key, init_keys, load_keys
from gateway.ledger.signing import SigningKey, verify_ed25519

ORIGIN = "hospital.example/consentry"
# The log key of docs on formats: seed 00..1f.
LOG_LINE = "PRIVATE+KEY+example.com/consent-ledger+9f54db07+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
LOG_VKEY = "example.com/consent-ledger+9f54db07+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def test_the_published_example_key_is_read_and_written_back() -> None:
    key = SigningKey.parse(LOG_LINE)
    assert (key.line(), str(key.verifier)) == (LOG_LINE, LOG_VKEY)
    assert "AQABAg" not in repr(key)


@pytest.mark.parametrize(
    "line",
    [LOG_LINE[:-4], LOG_LINE.replace("9f54", "9f55"), LOG_LINE.replace("AQAB", "AgAB"), LOG_VKEY, "",
     LOG_LINE.replace("example.com", "example.org"), LOG_LINE + "=", LOG_LINE.replace("AQABAg", "AQABAw")],
)  # fmt: skip
def test_a_key_line_that_does_not_fit_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        SigningKey.parse(line)


def test_a_signature_verifies_and_its_neighbours_do_not() -> None:
    key = SigningKey.generate("a")
    signature = key.sign(b"text\n")
    assert verify_ed25519(key.public, b"text\n", signature)
    assert not verify_ed25519(key.public, b"text", signature)
    assert not verify_ed25519(SigningKey.generate("a").public, b"text\n", signature)
    assert not verify_ed25519(key.public, b"text\n", signature[:-1])
    assert not verify_ed25519(b"short", b"text\n", signature)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_signatures_are_those_of_another_library(seed: bytes, message: bytes) -> None:
    """Ed25519 has one signature for a key and a message (RFC 8032); both libraries give and accept it."""
    other = Ed25519PrivateKey.from_private_bytes(seed)
    public = other.public_key().public_bytes_raw()
    key_id = VerifierKey.ed25519("a.example/log", public).key_id
    key = SigningKey.parse(SignerSeed("a.example/log", key_id, seed).format())
    assert key.public == public
    assert key.sign(message) == other.sign(message)
    assert verify_ed25519(public, message, other.sign(message))
    assert not verify_ed25519(public, message + b"x", other.sign(message))


def test_a_signature_does_not_lend_bytes_to_its_message() -> None:
    key = SigningKey.generate("a.example/log")
    joined = key.sign(b"text") + b"text"
    assert verify_ed25519(key.public, joined[64:], joined[:64])
    for cut in (0, 63, 65, 68):
        assert not verify_ed25519(key.public, joined[cut:], joined[:cut])


def test_new_keys_fit_together_and_secrets_are_private(tmp_path: Path) -> None:
    keys = init_keys(tmp_path / "keys", ORIGIN)
    assert (keys.origin, keys.gateway.name) == (ORIGIN, f"{ORIGIN}/gateway")
    assert load_keys(tmp_path / "keys") == load_keys(tmp_path / "keys")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"log.vkey", "gateway.vkey"}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert VerifierKey.parse((tmp_path / "keys/log.vkey").read_text().strip()) == keys.log.verifier
    for secret in (keys.kek.hex(), keys.operator_secret, json.loads(keys.issuer_jwk)["d"]):
        assert secret not in repr(keys)


def test_the_issuer_key_is_a_jwk_that_others_read(tmp_path: Path) -> None:
    text = init_keys(tmp_path / "keys", ORIGIN).issuer_jwk
    key = JWK.from_json(text)
    assert key.thumbprint() == json.loads(text)["kid"]
    assert key.has_private


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    init_keys(tmp_path / "keys", ORIGIN)
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    with pytest.raises(ConfigError, match="never overwritten"):
        init_keys(tmp_path / "keys", ORIGIN)
    (tmp_path / "keys/log.key").unlink()
    with pytest.raises(ConfigError, match="never overwritten"):
        init_keys(tmp_path / "keys", ORIGIN)
    del before["log.key"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


@pytest.mark.parametrize("origin", ["", "has space", "plus+plus", "line\nfeed"])
def test_an_origin_that_cannot_name_a_key_makes_no_folder(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ConfigError, match=r"ledger\.origin"):
        init_keys(tmp_path / "keys", origin)
    assert not (tmp_path / "keys").exists()


def test_the_key_of_id_tokens_is_a_jwk_that_others_read(tmp_path: Path) -> None:
    text = init_keys(tmp_path / "keys", ORIGIN).openid_jwk
    assert text is not None
    key = JWK.from_json(text)
    assert (key["kty"], key["alg"], key.has_private) == ("RSA", "RS256", True)
    assert key.thumbprint() == json.loads(text)["kid"]
    assert key.get_op_key("sign").key_size == 2048
    assert text not in repr(load_keys(tmp_path / "keys"))


def test_a_folder_from_before_id_tokens_is_read_and_gets_its_key(tmp_path: Path) -> None:
    before = init_keys(tmp_path / "keys", ORIGIN)
    file = tmp_path / "keys/openid.jwk"
    file.unlink()
    assert load_keys(tmp_path / "keys") == replace(before, openid_jwk=None)
    assert add_openid_key(tmp_path / "keys")
    made = load_keys(tmp_path / "keys")
    assert made.openid_jwk not in (None, before.openid_jwk)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not add_openid_key(tmp_path / "keys")
    assert load_keys(tmp_path / "keys") == made


def test_an_openid_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    init_keys(tmp_path / "keys", ORIGIN)
    (tmp_path / "keys/openid.jwk").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("part", ["n", "d", "p", "dp", "dq", "qi", "kid", "alg", "e"])
def test_parts_of_two_openid_keys_are_noticed(tmp_path: Path, part: str) -> None:
    ours, theirs = (load_openid(tmp_path / n) for n in ("keys", "other"))
    other = {**theirs, "alg": "PS256", "e": "Aw"}[part]
    (tmp_path / "keys/openid.jwk").write_text(json.dumps(ours | {part: other}))
    with pytest.raises(ConfigError, match=r"openid\.jwk"):
        load_keys(tmp_path / "keys")


def load_openid(folder: Path) -> dict[str, str]:
    members: dict[str, str] = json.loads(init_keys(folder, ORIGIN).openid_jwk or "")
    return members


FILES = ("log.key", "gateway.key", "kek.key", "issuer.jwk", "operator.key", "log.vkey", "gateway.vkey")
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[:20],
    "not text": lambda whole: b"\xff\xfe",
    "two lines": lambda whole: whole + whole,
}


@pytest.mark.parametrize("name", [*FILES, "openid.jwk"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_does_not_fit_is_named_with_the_remedy(tmp_path: Path, name: str, damage: str) -> None:
    init_keys(tmp_path / "keys", ORIGIN)
    file = tmp_path / "keys" / name
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with pytest.raises(ConfigError, match=f"{name} .*keys init"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    init_keys(tmp_path / "keys", ORIGIN)
    (tmp_path / "keys" / name).unlink()
    with pytest.raises(ConfigError, match=f"{name} .*keys init"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("name", ["log.key", "gateway.key", "log.vkey", "gateway.vkey"])
def test_a_file_of_another_folder_is_noticed(tmp_path: Path, name: str) -> None:
    init_keys(tmp_path / "keys", ORIGIN)
    init_keys(tmp_path / "other", ORIGIN)
    (tmp_path / "keys" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(ConfigError, match="public half"):
        load_keys(tmp_path / "keys")


def test_parts_of_two_issuer_keys_are_noticed(tmp_path: Path) -> None:
    ours, theirs = (json.loads(init_keys(tmp_path / n, ORIGIN).issuer_jwk) for n in ("keys", "other"))
    for part in ("x", "y", "d", "kid"):
        (tmp_path / "keys/issuer.jwk").write_text(json.dumps(ours | {part: theirs[part]}))
        with pytest.raises(ConfigError, match=r"issuer\.jwk"):
            load_keys(tmp_path / "keys")


@pytest.mark.parametrize(("name", "mode"), [("log.key", 0o640), ("kek.key", 0o604), (".", 0o755)])
def test_keys_that_others_can_read_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    init_keys(tmp_path / "keys", ORIGIN)
    (tmp_path / "keys" / name).chmod(mode)
    with pytest.raises(ConfigError, match="chmod"):
        load_keys(tmp_path / "keys")
