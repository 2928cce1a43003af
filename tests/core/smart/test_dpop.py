"""The rules of a DPoP proof, case by case (fixtures/smart/dpop.json), and thumbprints by another hand."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from gateway.core.smart import issuers
from gateway.core.smart.dpop import ALGORITHMS, LIVES_S, SKEW_S, Asked, Proof, normal, read_key, read_proof
from gateway.errors import Unauthenticated
from tests.tokens.forge import private_key, public_jwk, rsa_key

FIXTURE = json.loads((Path(__file__).parents[3] / "fixtures/smart/dpop.json").read_text())
NOW_S: int = FIXTURE["now_s"]


def read(case: dict[str, Any]) -> Proof:
    header = {**FIXTURE["header"], **case.get("header", {})}
    claims = {**FIXTURE["claims"], **case.get("set", {})}
    asked = {**FIXTURE["asked"], **case.get("asked", {})}
    token = None if asked["token"] is None else sha256(asked["token"].encode()).digest()
    return read_proof(
        {name: value for name, value in claims.items() if name not in case.get("drop", ())},
        Asked(asked["method"], asked["address"], token),
        read_key({name: value for name, value in header.items() if name not in case.get("drop_header", ())}),
        NOW_S,
    )


@pytest.mark.parametrize("case", [c for c in FIXTURE["cases"] if "accepted" in c], ids=lambda c: c["name"])
def test_proofs_are_read(case: dict[str, Any]) -> None:
    claims = {**FIXTURE["claims"], **case.get("set", {})}
    assert read(case) == Proof(FIXTURE["thumbprint"], claims["jti"], claims["iat"] + LIVES_S + SKEW_S)


@pytest.mark.parametrize("case", [c for c in FIXTURE["cases"] if "refused" in c], ids=lambda c: c["name"])
def test_proofs_are_refused_by_what_is_wrong_with_them(case: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        read(case)
    assert caught.value.text.startswith(f"The DPoP proof's {case['refused']} ")
    assert (caught.value.oauth_error, caught.value.scheme) == ("invalid_dpop_proof", "DPoP")


def test_the_algorithms_are_those_of_tokens() -> None:
    assert ALGORITHMS == issuers.ALGORITHMS
    assert not any(name == "none" or name.startswith("HS") for name in ALGORITHMS)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "Ed448"])
def test_thumbprints_are_those_of_another_library(algorithm: str) -> None:
    key = rsa_key() if algorithm[0] in "RP" else private_key(algorithm)
    jwk = public_jwk(key)
    header = {**FIXTURE["header"], "alg": algorithm.replace("Ed448", "EdDSA"), "jwk": {**jwk, "ext": True}}
    assert read_key(header).thumbprint == JWK(**jwk).thumbprint()


def test_a_proof_is_known_by_its_key_and_jti() -> None:
    proofs = {Proof(key, jti, 0).digest for key in ("a", "b", "ab") for jti in ("a", "b", "")}
    assert len(proofs) == 9
    assert Proof("a", "b", 1).digest == Proof("a", "b", 2).digest


@given(
    st.text(st.characters(codec="ascii"), max_size=40),
    st.text(st.characters(exclude_characters="/?#"), max_size=8),  # where a host ends
)
def test_one_spelling_is_a_fixed_point_and_keeps_the_host(path: str, host: str) -> None:
    found = normal(f"https://{host}gw.example/{path}")
    if found is not None:
        assert normal(found) == found
        assert found.startswith(f"https://{host.lower()}gw.example/")
        assert not {"?", "#", " ", "\\"} & {*found}
