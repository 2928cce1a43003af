"""The keys that sign tokens: the one that signs, one to come, and those that were replaced.

Who signs follows from these values and the clock alone, so that all processes agree. Each value is one
file's JWK (`gateway.ledger.token_key_files`), checked when it is read: a key is what its thumbprint says.
Tokens are signed elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.core.canon import b64url, canonical, sha256
from gateway.core.smart.issuers import DAY_S
from gateway.ledger.issuer_key import check_issuer_jwk, check_openid_jwk, new_issuer_jwk, new_openid_jwk

OVERLAP_S: Final = DAY_S + 60
"""How long a replaced key is needed: the longest that a token lives, and a minute for a late process."""

_SHARED: Final = frozenset({"kty", "kid", "alg", "use"})

Jwk = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """What keys are for: how their files and their `key.rotate` entries call them, and what such a key is.

    `parts` are the members of its public half.
    """

    name: str
    kind: str
    algorithm: str
    parts: frozenset[str]
    make: Callable[[], str]
    check: Callable[[str], str]

    def public(self, jwk: Jwk) -> dict[str, str]:
        """`jwk` without its private members."""
        return {name: jwk[name] for name in sorted(_SHARED | self.parts)}


ISSUER: Final = Use("issuer", "iss", "ES256", frozenset({"crv", "x", "y"}), new_issuer_jwk, check_issuer_jwk)
OPENID: Final = Use("openid", "oid", "RS256", frozenset({"n", "e"}), new_openid_jwk, check_openid_jwk)
USES: Final[Mapping[str, Use]] = {use.name: use for use in (ISSUER, OPENID)}


@dataclass(frozen=True, slots=True)
class Private:
    """A key that can sign, and does from `from_s` on (None: not yet)."""

    jwk: Jwk = field(repr=False)
    from_s: int | None = None

    @property
    def kid(self) -> str:
        return self.jwk["kid"]

    def is_due(self, now_s: int) -> bool:
        return self.from_s is not None and self.from_s <= now_s


@dataclass(frozen=True, slots=True)
class Replaced:
    """A public key: at `until_s` no token that it signed lives any more."""

    jwk: Jwk
    until_s: int

    @property
    def kid(self) -> str:
        return self.jwk["kid"]


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys of one use. `first` signs until the one `coming` is due; the latest `replaced` is in front."""

    use: Use
    first: Private
    coming: Private | None
    replaced: tuple[Replaced, ...]

    @property
    def signers(self) -> list[tuple[int, Jwk]]:
        """The private keys, each with the second from which it signs in place of those before it."""
        later = [] if self.coming is None or self.coming.from_s is None else [self.coming]
        return [(0, self.first.jwk), *((key.from_s or 0, key.jwk) for key in later)]

    @property
    def public(self) -> list[dict[str, str]]:
        """What verifies tokens of now, of soon and of before."""
        private = [self.first, *([] if self.coming is None else [self.coming])]
        jwks = [*(key.jwk for key in private), *(key.jwk for key in self.replaced)]
        return [self.use.public(jwk) for jwk in jwks]


def read_private(text: str, use: Use) -> Private:
    """A private JWK; `nbf` is when it begins to sign. Raises ValueError, without quoting the text."""
    members = _object(text)
    from_s = members.pop("nbf", None)
    if from_s is not None and not _is_time(from_s):
        raise ValueError("the time from which the key signs is not a number of seconds")
    return Private(json.loads(use.check(json.dumps(members))), from_s)


def read_replaced(text: str, use: Use) -> Replaced:
    """A public JWK with its end, `exp`. Raises ValueError, without quoting the text."""
    members = _object(text)
    until_s = members.pop("exp", None)
    if members.keys() != _SHARED | use.parts or not _is_time(until_s):
        raise ValueError("the key is not a public JWK with an end")
    thumbprint = b64url(sha256(canonical({name: members[name] for name in ("kty", *use.parts)})))
    if (members["kid"], members["alg"], members["use"]) != (thumbprint, use.algorithm, "sig"):
        raise ValueError("the parts of the key do not belong together")
    return Replaced(members, until_s)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError("the key is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("the key is not a JWK")
    return found


def _is_time(value: object) -> bool:
    return type(value) is int and value >= 0
