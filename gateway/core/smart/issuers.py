"""What is expected of one issuer's access tokens, and of the header in front of them.

Only asymmetric signatures: whoever can check a token must not be able to make one. The signature
itself, and the keys, are `gateway.tokens`' business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.errors import Unauthenticated

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TYPES = ("at+jwt", "application/at+jwt")  # RFC 9068 section 4; compared without case, RFC 7515 4.1.9
DAY_S = 86_400

# Parameters that bring a key, another reading of the payload, or rules that are not implemented
# (RFC 7515 section 4.1, RFC 7516 section 4.1, RFC 7797). Others must be ignored (RFC 7515 section 4).
REFUSED_PARAMETERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc", "epk")

_PURPOSE = re.compile(r"[A-Z]{3,20}")


@dataclass(frozen=True, slots=True)
class IssuerRule:
    """An issuer whose tokens are accepted at one FHIR base.

    `issuer` and `audience` are compared character by character. `audience` is that FHIR base, unless
    operator and issuer agreed on another name for it; then `base` is the FHIR base. `own` is the gateway's
    own issuer, whose tokens name their entry in the ledger.
    `binding` says how tokens meet consents: named in the `consent` claim, or looked up.
    `default_purpose` stands in where a token states no purpose of use. Raises `ValueError`.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ALGORITHMS
    binding: Literal["claim", "lookup"] = "claim"
    default_purpose: str | None = None
    max_lifetime_s: int = DAY_S
    base: str = ""
    own: bool = False

    @property
    def fhir_base(self) -> str:
        return self.base or self.audience

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ValueError("an issuer has a name and an audience")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(f"the algorithms are some of {', '.join(ALGORITHMS)}")
        if self.binding not in ("claim", "lookup"):
            raise ValueError("the binding is 'claim' or 'lookup'")
        if self.default_purpose is not None and _PURPOSE.fullmatch(self.default_purpose) is None:
            raise ValueError("the default purpose is a code such as TREAT")
        if not 0 < self.max_lifetime_s <= DAY_S:
            raise ValueError(f"the longest lifetime is between 1 and {DAY_S} seconds")


def read_header(header: Mapping[str, object], algorithms: tuple[str, ...]) -> tuple[str, str | None]:
    """The `alg` and `kid` of a token's header. Raises `Unauthenticated` (RFC 9068 section 4)."""
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise Unauthenticated("The token's header does not say that it is an access token (typ at+jwt).")
    return read_key(header, algorithms)


def read_key(header: Mapping[str, object], algorithms: tuple[str, ...]) -> tuple[str, str | None]:
    """As `read_header`, of a token of any `typ`."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Unauthenticated("The token's signature algorithm (alg) is not accepted from this issuer.")
    for name in REFUSED_PARAMETERS:
        if name in header:
            raise Unauthenticated(f"The token's header has the parameter {name}, which is not accepted.")
    if "kid" not in header:
        return algorithm, None
    key_id = header["kid"]
    if not isinstance(key_id, str) or not 0 < len(key_id) <= 255:
        raise Unauthenticated("The token's key id (kid) is not a short string.")
    return algorithm, key_id
