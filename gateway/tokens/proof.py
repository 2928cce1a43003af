"""Whether a request comes from who may use its token: by a DPoP proof (RFC 9449), or by TLS (RFC 8705).

A token that is bound to a key opens nothing without a proof of that key, made for this very request; one that
is bound to a certificate opens nothing outside a connection with that certificate. Neither is ever taken as a
bearer token, and one that is not bound is never taken as if it were. A proof is used up last, when all else
about it held.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from gateway.core.smart.dpop import SCHEME, Asked, Proof, Shown, read_key, read_proof, refusal
from gateway.core.values import Confirmation, Token
from gateway.errors import Unauthenticated
from gateway.tokens.bearer import Presented
from gateway.tokens.certificate import Certificate
from gateway.tokens.compact import split
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.signature import VerificationKey, check_signature
from gateway.tokens.used_proofs import UsedProofs

_CERTIFIED: Final = "The token is bound to a certificate"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a request shows of its sender: its DPoP header, and its connection's certificate, in force."""

    proof: bytes | None = field(default=None, repr=False)
    certificate: Certificate | None = None


def prove(header: bytes, asked: Asked, now_s: int, used: UsedProofs) -> Confirmation:
    """The key that `header` proves to hold for the request `asked`; the proof is used now.

    `header` is the value of the DPoP header: one that was sent several times is a list, and no proof.
    Raises `Unauthenticated`, StateUnavailable.
    """
    proof = _checked(header, asked, now_s)
    _use(proof, now_s, used)
    return Confirmation("jkt", proof.key)


def check_holder(
    token: Token, presented: Presented, evidence: Evidence, asked: Asked, now_s: int, used: UsedProofs
) -> None:
    """Raises `Unauthenticated` unless the verified `token` was presented by who may; StateUnavailable.

    `asked` has the token's digest.
    """
    if token.confirmation is None:
        if presented.with_proof:
            raise _refused("The token is not bound to a key; it is sent as a Bearer token.")
        return
    match token.confirmation.method:
        case "jkt":
            _check_key(token.confirmation.thumbprint, presented, evidence.proof, asked, now_s, used)
        case "x5t#S256":
            _check_certificate(token.confirmation.thumbprint, presented, evidence.certificate)


def _check_key(
    key: str, presented: Presented, header: bytes | None, asked: Asked, now_s: int, used: UsedProofs
) -> None:
    if not presented.with_proof:
        raise _refused("The token is bound to a key; it is sent by the scheme DPoP, with a proof.")
    if header is None:
        raise refusal("header is missing")
    proof = _checked(header, asked, now_s)
    if proof.key != key:
        raise _refused("The DPoP proof is of another key than the token.")
    _use(proof, now_s, used)


def _check_certificate(thumbprint: str, presented: Presented, shown: Certificate | None) -> None:
    """RFC 8705 section 3: the token is sent as a Bearer token, on a connection with its certificate."""
    if presented.with_proof:
        raise Unauthenticated(f"{_CERTIFIED}; it is sent as a Bearer token.", scheme="Bearer")
    if shown is None or shown.thumbprint != thumbprint:
        raise Unauthenticated(f"{_CERTIFIED} that this connection does not have.")


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
