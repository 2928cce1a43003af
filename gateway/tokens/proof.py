"""Whether a request comes from who holds a key: its DPoP header, checked whole (RFC 9449 sections 4.3 and 7).

A token that is bound to a key opens nothing without a proof of that key, made for this very request, and is
never taken as a bearer token; one that is not bound is never taken as if it were. A proof is used up last,
when all else about it held.
"""

from __future__ import annotations

import json

from gateway.core.smart.dpop import SCHEME, Asked, Proof, Shown, read_key, read_proof, refusal
from gateway.core.values import Token
from gateway.errors import Unauthenticated
from gateway.tokens.bearer import Presented
from gateway.tokens.compact import split
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.signature import VerificationKey, check_signature
from gateway.tokens.used_proofs import UsedProofs


def prove(header: bytes, asked: Asked, now_s: int, used: UsedProofs) -> str:
    """The thumbprint of the key that `header` proves to hold for the request `asked`; the proof is used now.

    `header` is the value of the DPoP header: one that was sent several times is a list, and no proof.
    Raises `Unauthenticated`, StateUnavailable.
    """
    proof = _checked(header, asked, now_s)
    _use(proof, now_s, used)
    return proof.key


def check_holder(
    token: Token, presented: Presented, header: bytes | None, asked: Asked, now_s: int, used: UsedProofs
) -> None:
    """Raises `Unauthenticated` unless the verified `token` was presented by who may; StateUnavailable.

    `asked` has the token's digest.
    """
    if token.key is None and not presented.with_proof:
        return
    if token.key is None:
        raise _refused("The token is not bound to a key; it is sent as a Bearer token.")
    if not presented.with_proof:
        raise _refused("The token is bound to a key; it is sent by the scheme DPoP, with a proof.")
    if header is None:
        raise refusal("header is missing")
    proof = _checked(header, asked, now_s)
    if proof.key != token.key:
        raise _refused("The DPoP proof is of another key than the token.")
    _use(proof, now_s, used)


def _checked(header: bytes, asked: Asked, now_s: int) -> Proof:
    """The proof, which may have been used before."""
    try:
        text = header.decode("ascii")
        compact = split(text)
    except (UnicodeDecodeError, Unauthenticated) as error:
        raise refusal("header is not one signed JWT in its compact form") from error
    shown = read_key(compact.header)
    key = _key(shown)
    try:
        check_signature(text, compact.signature, shown.algorithm, key)
    except Unauthenticated as error:
        raise refusal("signature does not hold") from error
    return read_proof(compact.claims, asked, shown, now_s)


def _key(shown: Shown) -> VerificationKey:
    keys = parse_jwks(json.dumps({"keys": [{**shown.jwk}]}).encode())
    if len(keys) != 1:
        raise refusal("key (jwk) is not a sound one")
    return keys[0]


def _use(proof: Proof, now_s: int, used: UsedProofs) -> None:
    if not used.first_use(proof, now_s):
        raise refusal("claim jti was used before")


def _refused(text: str) -> Unauthenticated:
    return Unauthenticated(text, "invalid_token", SCHEME)
