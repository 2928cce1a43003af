"""A signing key from a file: a private JWK, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jwcrypto.jwk import JWK

from gateway.tokens.compact import split
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.signature import check_signature
from gateway.tokens.signer import read_signer


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ({"kty": "EC", "crv": "P-384"}, "ES384"),
        ({"kty": "EC", "crv": "P-256"}, "ES256"),
        ({"kty": "RSA", "size": 2048}, "RS256"),
        ({"kty": "OKP", "crv": "Ed25519"}, "EdDSA"),
    ],
)
def test_a_key_signs_by_its_one_algorithm(tmp_path: Path, kind: dict[str, object], algorithm: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(JWK.generate(**kind).export_private())
    signer = read_signer(path)
    assert signer.algorithm == algorithm
    token = signer.sign({"sub": "x"}, "JWT")
    [key] = parse_jwks(json.dumps({"keys": [signer.public_jwk()]}).encode())
    check_signature(token, split(token).signature, algorithm, key)
    assert split(token).header == {"alg": algorithm, "kid": signer.key_id, "typ": "JWT"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kty":"oct","k":"AAAA"}',
        '{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}',
        '{"kty":"EC","crv":"P-256","x":1,"y":"AAAA","d":"AAAA"}',
        '{"kty":"EC","kty":"RSA"}',
        JWK.generate(kty="RSA", size=1024).export_private(),
        JWK.generate(kty="EC", crv="P-384").export_public(),
    ],
    ids=["empty", "list", "nothing", "symmetric", "public", "number", "twice", "short", "no d"],
)
def test_a_file_that_is_no_private_key_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        read_signer(path)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        read_signer(tmp_path / "none.json")
