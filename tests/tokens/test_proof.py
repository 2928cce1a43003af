"""Proofs whole, sound and forged; and who may present a token that is bound to a key."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.claims import read_claims
from gateway.core.smart.dpop import ALGORITHMS, LIVES_S, SKEW_S, Asked
from gateway.core.values import Token
from gateway.errors import Unauthenticated
from gateway.tokens.bearer import Presented
from gateway.tokens.proof import Evidence, check_holder, prove
from gateway.tokens.used_proofs import UsedProofs
from tests.tokens import forge
from tests.tokens.forge import CLAIMS, NOW_S, RULE, TYPES, evaluable
from tests.tokens.holder import Holder

URL = "https://gw.example/fhir/Observation"
TEXT = "abc.def.ghi"
DIGEST = sha256(TEXT.encode()).digest()
ASKED = Asked("GET", URL, DIGEST)
OWNER, THIEF = Holder(), Holder(number=1)


def shows(header: str | bytes, asked: Asked = ASKED, now_s: int = NOW_S) -> str:
    """The key of a header, with nothing used yet."""
    found = prove(header if isinstance(header, bytes) else header.encode(), asked, now_s, UsedProofs())
    assert found.method == "jkt"
    return found.thumbprint


def sound(**claims: Any) -> str:
    return OWNER.prove("GET", URL, NOW_S, TEXT, **claims)


def headed(**header: object) -> str:
    return OWNER.prove("GET", URL, NOW_S, TEXT, header=header)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_sound_proof_shows_its_key(algorithm: str) -> None:
    holder = Holder(algorithm)
    assert shows(holder.prove("GET", URL, NOW_S, TEXT)) == holder.thumbprint


def _parts(text: str) -> tuple[str, str, str]:
    header, claims, signature = text.split(".")
    return header, claims, signature


def _unsigned() -> str:
    header = json.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": OWNER.jwk}).encode()
    return f"{forge.b64(header)}.{_parts(sound())[1]}."


def _of_public_key(secret: bytes) -> str:
    header = json.dumps({"typ": "dpop+jwt", "alg": "HS256", "jwk": OWNER.jwk}).encode()
    signed = f"{forge.b64(header)}.{_parts(sound())[1]}"
    return f"{signed}.{forge.b64(hmac.new(secret, signed.encode(), 'sha256').digest())}"


def _zeros_in_front() -> str:
    header, claims, signature = _parts(sound())
    raw = urlsafe_b64decode(signature + "==")
    return f"{header}.{claims}.{forge.b64(b'.' + raw[:32] + b'.' + raw[32:])}"


def _twice(name: str) -> str:
    header = json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": OWNER.jwk}).encode()
    payload = urlsafe_b64decode(_parts(sound())[1] + "==")
    doubled = payload[:-1] + b',"%b":"x"}' % name.encode()
    return forge.raw_token(OWNER.key, "ES256", header, doubled)


def _private() -> dict[str, object]:
    assert isinstance(OWNER.key, ec.EllipticCurvePrivateKey)
    number = OWNER.key.private_numbers().private_value
    return {**OWNER.jwk, "d": forge.b64(number.to_bytes(32, "big"))}


FORGED: dict[str, Callable[[], str | bytes]] = {
    "nothing": lambda: "",
    "a word": lambda: "x",
    "two proofs, as two headers are read": lambda: f"{sound()}, {sound()}",
    "the same proof twice": lambda: ", ".join([sound()] * 2),
    "a space in front": lambda: " " + sound(),
    "not ASCII": lambda: b"\xc3\xa4." + sound().encode(),
    "no signature": lambda: sound().rpartition(".")[0],
    "an empty signature": lambda: sound().rpartition(".")[0] + ".",
    "alg none": _unsigned,
    "HS256 with the public JWK": lambda: _of_public_key(json.dumps(OWNER.jwk).encode()),
    "HS256 with the public PEM": lambda: _of_public_key(forge.pem(OWNER.key)),
    "another's key shown": lambda: headed(jwk=THIEF.jwk),
    "its private key shown": lambda: headed(jwk=_private()),
    "a key beside the curve": lambda: headed(jwk={**OWNER.jwk, "y": OWNER.jwk["x"]}),
    "a key of another size": lambda: headed(jwk={**OWNER.jwk, "x": "AAAA"}),
    "another proof's signature": lambda: ".".join((*_parts(sound())[:2], _parts(sound())[2])),
    "a signature with zeros in front": _zeros_in_front,
    "a claim twice": lambda: _twice("htu"),
    "an access token": lambda: forge.token(forge.rsa_key()),
    "a header too long": lambda: sound(pad="x" * 20_000),
    "another method": lambda: OWNER.prove("POST", URL, NOW_S, TEXT),
    "another address": lambda: OWNER.prove("GET", URL + "/1", NOW_S, TEXT),
    "another token": lambda: OWNER.prove("GET", URL, NOW_S, TEXT + "x"),
    "no token": lambda: OWNER.prove("GET", URL, NOW_S),
    "too old": lambda: OWNER.prove("GET", URL, NOW_S - LIVES_S - SKEW_S - 1, TEXT),
    "too new": lambda: OWNER.prove("GET", URL, NOW_S + SKEW_S + 1, TEXT),
}


@pytest.mark.parametrize("name", FORGED)
def test_anything_else_is_no_proof(name: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        shows(FORGED[name]())
    assert (caught.value.oauth_error, caught.value.scheme) == ("invalid_dpop_proof", "DPoP")


def test_weak_rsa_keys_are_no_keys() -> None:
    weak = forge.rsa_key(bits=1024)
    holder = Holder("RS256")
    object.__setattr__(holder, "key", weak)
    with pytest.raises(Unauthenticated, match="not a sound one"):
        shows(holder.prove("GET", URL, NOW_S, TEXT))


PROOF = OWNER.prove("GET", URL, NOW_S, TEXT, jti="always")


@given(st.integers(0, len(PROOF) - 1), st.sampled_from("ABCDwxyz0189-_.=, \n"))
def test_no_altered_proof_shows_a_key(place: int, character: str) -> None:
    altered = PROOF[:place] + character + PROOF[place + 1 :]
    if altered != PROOF:
        with pytest.raises(Unauthenticated):
            shows(altered)


@given(st.sets(st.sampled_from(["htm", "htu", "iat", "jti", "ath", "typ", "alg", "jwk"]), min_size=1))
def test_no_proof_lacks_anything(missing: set[str]) -> None:
    header = dict.fromkeys(missing & {"typ", "alg", "jwk"})
    claims: dict[str, Any] = dict.fromkeys(missing - header.keys())
    with pytest.raises(Unauthenticated):
        shows(OWNER.prove("GET", URL, NOW_S, TEXT, header=header, **claims))


def test_a_proof_is_used_once() -> None:
    used, proof = UsedProofs(), sound().encode()
    assert prove(proof, ASKED, NOW_S, used) == ("jkt", OWNER.thumbprint)
    for later_s in (0, 1, LIVES_S):
        with pytest.raises(Unauthenticated, match="jti was used before"):
            prove(proof, ASKED, NOW_S + later_s, used)
    with pytest.raises(Unauthenticated, match="too long ago"):
        prove(proof, ASKED, NOW_S + 10_000, used)


def test_its_other_signature_is_the_same_proof() -> None:
    """Whoever sees an ECDSA signature can write it in another way that holds too."""
    header, claims, signature = _parts(sound())
    raw = urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    used = UsedProofs()
    prove(f"{header}.{claims}.{signature}".encode(), ASKED, NOW_S, used)
    with pytest.raises(Unauthenticated, match="jti was used before"):
        prove(f"{header}.{claims}.{forge.b64(other)}".encode(), ASKED, NOW_S, used)


def test_what_is_refused_is_not_used_up() -> None:
    used, proof = UsedProofs(), sound().encode()
    with pytest.raises(Unauthenticated, match="htm"):
        prove(proof, replace(ASKED, method="POST"), NOW_S, used)
    assert prove(proof, ASKED, NOW_S, used) == ("jkt", OWNER.thumbprint)


# --- Who may present a token -------------------------------------------------------------------------


def token(bound: bool) -> Token:
    claims = {**CLAIMS, "cnf": {"jkt": OWNER.thumbprint}} if bound else CLAIMS
    return read_claims(claims, RULE, NOW_S, types=TYPES, evaluable=evaluable, digest=DIGEST)


def present(bound: bool, with_proof: bool, proof: str | None) -> None:
    evidence = Evidence(None if proof is None else proof.encode())
    check_holder(token(bound), Presented(TEXT, with_proof), evidence, ASKED, NOW_S, UsedProofs())


def test_a_bound_token_is_its_holders() -> None:
    present(True, True, sound())


@pytest.mark.parametrize("proof", [None, "", "x", sound()])
def test_a_bearer_token_needs_no_proof_and_minds_none(proof: str | None) -> None:
    present(False, False, proof)


@pytest.mark.parametrize(
    ("bound", "with_proof", "proof", "error"),
    [
        (True, False, None, "invalid_token"),
        (True, False, sound(), "invalid_token"),
        (False, True, sound(), "invalid_token"),
        (True, True, None, "invalid_dpop_proof"),
        (True, True, "", "invalid_dpop_proof"),
        (True, True, sound(ath=None), "invalid_dpop_proof"),
        (True, True, THIEF.prove("GET", URL, NOW_S, TEXT), "invalid_token"),
    ],
    ids=[
        "as bearer",
        "as bearer, with a proof",
        "not bound",
        "no proof",
        "empty",
        "no ath",
        "another's proof",
    ],
)
def test_otherwise_it_is_refused(bound: bool, with_proof: bool, proof: str | None, error: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        present(bound, with_proof, proof)
    assert (caught.value.oauth_error, caught.value.scheme) == (error, "DPoP")
