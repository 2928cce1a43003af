"""DPoP proofs: a request shows that its sender holds a key (RFC 9449 sections 4.2 and 4.3).

Header and claims come in decoded but not believed: the caller reads the key that the header shows, checks the
signature with it, reads the claims, and lets each proof pass once. Whose the key is nobody says: it counts by
its thumbprint (RFC 7638), to which a token or a grant is bound. No nonce of the server is asked for
(section 8), so the clocks of both sides count. Every failure is the one error invalid_dpop_proof.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gateway.core.canon import Json, b64url, canonical, sha256, unb64url
from gateway.core.smart import kinds
from gateway.core.smart.client_keys import PRIVATE_MEMBERS
from gateway.core.smart.issuers import REFUSED_PARAMETERS
from gateway.errors import Unauthenticated

TYPE: Final = "dpop+jwt"
CODE: Final = "invalid_dpop_proof"
SCHEME: Final = "DPoP"
LIVES_S: Final = 60
"""How long after its making a proof may come: the way of one request."""
SKEW_S: Final = 60
"""How far the clocks of client and server may differ, either way."""

# What a key must be for each algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1): type and curves.
FITS: Final[Mapping[str, tuple[str, tuple[str | None, ...]]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", (None,))),
    "ES256": ("EC", ("P-256",)),
    "ES384": ("EC", ("P-384",)),
    "ES512": ("EC", ("P-521",)),
    "EdDSA": ("OKP", ("Ed25519", "Ed448")),
}
ALGORITHMS: Final = tuple(FITS)
# The members that make a key of each type; nothing else is in its thumbprint (RFC 7638 section 3.2).
MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}

_MAX_NUMBER: Final = 1400  # characters of base64url: the modulus of an RSA key of 8192 bits has 1366
_PORTS: Final = {"http": ":80", "https": ":443"}
_ADDRESS: Final = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?P<port>:[0-9]*)?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?)(?:[?#][!-~]*)?"
)
_OCTET: Final = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile("[A-Za-z0-9._~-]")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """The public key that a proof's header shows, of bare members, and the algorithm it is used with."""

    algorithm: str
    jwk: Mapping[str, str]

    @property
    def thumbprint(self) -> str:
        """SHA-256 of the key in base64url, `jkt` (RFC 9449 section 6.1)."""
        members: dict[str, Json] = {**self.jwk}
        return b64url(sha256(canonical(members)))


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that a proof is for: its method, its address as we publish it, and SHA-256 of the access
    token that it carries, if any."""

    method: str
    address: str
    token: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """A valid proof of the key with the thumbprint `key`. It must be new, and be remembered up to and in the
    second `until_s`, after which its age alone refuses it."""

    key: str
    jti: str
    until_s: int

    @property
    def digest(self) -> bytes:
        """What it is remembered by: its key and its `jti`. A signature can be spelled in several ways."""
        return sha256(canonical([self.key, self.jti]))


def read_key(header: Mapping[str, object]) -> Shown:
    """The key that a proof's header shows. Raises `Unauthenticated`."""
    if header.get("typ") != TYPE:
        raise refusal(f"header does not say that it is one (typ {TYPE})")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in FITS:
        raise refusal(f"algorithm (alg) is not one of {', '.join(ALGORITHMS)}")
    for name in REFUSED_PARAMETERS:
        if name in header and name != "jwk":
            raise refusal(f"header has the parameter {name}, which is not accepted")
    return Shown(algorithm, _members(header.get("jwk"), algorithm))


def read_proof(claims: Mapping[str, object], asked: Asked, shown: Shown, now_s: int) -> Proof:
    """The proof of `claims` that `shown` verified, for the request `asked`. Raises `Unauthenticated`.

    Without a token in the request `ath` means nothing; claims that are not known mean nothing (section 4.2).
    """
    if _read("htm", kinds.text, claims) != asked.method:
        raise refusal("claim htm is not the method of this request")
    address = normal(_read("htu", kinds.text, claims))
    if address is None or address != normal(asked.address):
        raise refusal("claim htu is not the address of this request")
    if asked.token is not None and _read("ath", kinds.text, claims) != b64url(asked.token):
        raise refusal("claim ath is not the digest of the access token")
    return Proof(shown.thumbprint, _read("jti", kinds.name, claims), _end(claims, now_s))


def normal(address: str) -> str | None:
    """An http or https address in one spelling, without query and fragment (RFC 9449 section 4.3, RFC 3986
    sections 6.2.2 and 6.2.3); None for what is none. Dot segments stay: no address of ours has any."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    scheme, port = found["scheme"].lower(), found["port"] or ""
    shown_port = "" if port in (":", _PORTS[scheme]) else port
    path = _OCTET.sub(_octet, found["path"]) or "/"
    return f"{scheme}://{found['host'].lower()}{shown_port}{path}"


def refusal(wrong: str) -> Unauthenticated:
    """What any proof that fails ends in; `wrong` finishes the sentence "The DPoP proof's ..."."""
    return Unauthenticated(f"The DPoP proof's {wrong}.", CODE, SCHEME)


def _members(jwk: object, algorithm: str) -> dict[str, str]:
    """The members that make the key, alone. What else a JWK may say of its use must allow this one."""
    kty, curves = FITS[algorithm]
    if not isinstance(jwk, dict) or PRIVATE_MEMBERS & jwk.keys():
        raise refusal("header has no public key (jwk), or one with private members")
    if jwk.get("kty") != kty or jwk.get("crv") not in curves:
        raise refusal("key (jwk) is not one for its algorithm (alg)")
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise refusal("key (jwk) is for another use")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise refusal("key (jwk) is for another use")
    return {name: _member(name, jwk.get(name)) for name in MEMBERS[kty]}


def _member(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NUMBER:
        raise refusal(f"key (jwk) has no {name} that is accepted")
    if name in ("kty", "crv"):
        return value
    try:
        unb64url(value)
    except ValueError as error:
        raise refusal(f"key (jwk) has no {name} that is accepted") from error
    return value


def _end(claims: Mapping[str, object], now_s: int) -> int:
    """The last second in which the proof is accepted, which is not over yet."""
    made_s = _read("iat", kinds.seconds, claims)
    if made_s > now_s + SKEW_S:
        raise refusal("claim iat is in the future")
    if made_s + LIVES_S + SKEW_S < now_s:
        raise refusal("claim iat is too long ago")
    if "exp" in claims and _read("exp", kinds.seconds, claims) <= now_s:
        raise refusal("claim exp is past")
    if "nbf" in claims and _read("nbf", kinds.seconds, claims) > now_s + SKEW_S:
        raise refusal("claim nbf is in the future")
    return made_s + LIVES_S + SKEW_S


def _octet(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()


def _read(name: str, kind: Callable[[object], T], claims: Mapping[str, object]) -> T:
    if name not in claims:
        raise refusal(f"claim {name} is missing")
    try:
        return kind(claims[name])
    except kinds.Wrong as wrong:
        raise refusal(f"claim {name} {wrong}") from wrong
