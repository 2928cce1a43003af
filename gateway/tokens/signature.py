"""Which key a token was signed with, and whether it was: the signature alone (RFC 7515, RFC 7518).

The algorithm comes from a fixed list and must fit the key's type and curve, so no key is ever used
with an algorithm it was not made for. Exactly one key fits or the token is refused. Claims are not
looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from gateway.errors import Unauthenticated

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192  # RFC 7518 section 3.3; the upper end bounds the work


@dataclass(frozen=True, slots=True)
class Fit:
    """What a key must be for an algorithm, and how long its signatures are (None: as the modulus)."""

    kty: str
    curves: tuple[str | None, ...] = (None,)
    signature_bytes: tuple[int, ...] = ()


# RFC 7518 section 3.1 and RFC 8037 section 3.1
_RSA = Fit("RSA")
FITS = {
    "RS256": _RSA,
    "RS384": _RSA,
    "RS512": _RSA,
    "PS256": _RSA,
    "PS384": _RSA,
    "PS512": _RSA,
    "ES256": Fit("EC", ("P-256",), (64,)),
    "ES384": Fit("EC", ("P-384",), (96,)),
    "ES512": Fit("EC", ("P-521",), (132,)),
    "EdDSA": Fit("OKP", ("Ed25519", "Ed448"), (64, 114)),
}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key that may verify signatures; `algorithm` is the only one it may be used with, if set.
    `certificate` is the one that is published with it (`x5c`), as DER: nothing is believed for it here."""

    id: str | None
    kty: str
    curve: str | None
    algorithm: str | None
    jwk: JWK
    certificate: bytes | None = None


# A JWS copies the whole registry of headers when it is made, which takes as long as to sign it.
_BLANK = JWS()


def blank_jws(payload: str | None = None) -> JWS:
    """A JWS of `payload` with nothing else in it, as `JWS(payload)`, for the price of a shallow copy."""
    jws = copy(_BLANK)
    jws.objects = {"payload": payload}
    return jws


def choose_key(keys: Sequence[VerificationKey], algorithm: str, key_id: str | None) -> VerificationKey | None:
    """The one key that fits, or None if none does. Raises `Unauthenticated` if several do.

    Without a `kid` in the header only a lone fitting key will do; guessing by trial would let one
    key stand in for another.
    """
    fit = FITS[algorithm]
    fitting = [
        key
        for key in keys
        if key.kty == fit.kty
        and key.curve in fit.curves
        and key.algorithm in (None, algorithm)
        and key_id in (None, key.id)
    ]
    if len(fitting) > 1:
        raise Unauthenticated("The token's key is not clear: several keys of the issuer fit its header.")
    return fitting[0] if fitting else None


def check_signature(token: str, signature: bytes, algorithm: str, key: VerificationKey) -> None:
    """Raises `Unauthenticated` unless the compact `token` was signed with `key` by `algorithm`.

    `signature` is the token's own, decoded. Its length is checked because an ECDSA signature with
    zeros in front of both halves would verify too, and be a second spelling of one token.
    """
    lengths = FITS[algorithm].signature_bytes
    if lengths and len(signature) not in lengths:
        raise Unauthenticated("The token's signature does not hold.")
    jws = blank_jws()
    jws.allowed_algs = [algorithm]
    try:
        jws.deserialize(token)
        jws.verify(key.jwk)
    except JWException as cause:
        raise Unauthenticated("The token's signature does not hold.") from cause
