"""The public keys that an asymmetric client registers by value (RFC 7517; SMART App Launch 2.2, "JWK sets").

Only bare public members are kept, so what is stored can hold no secret and no certificate, and only
keys that an accepted assertion can be signed with. A set that shows a private or symmetric key is
refused whole: whoever sent it has just given it away. Whether the numbers are sound keys is for
`gateway.tokens` to say, which uses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# What a key must be for each algorithm that assertions may use (RFC 7518 section 3.1): type and curve.
FITS: dict[str, tuple[str, str | None]] = {"RS384": ("RSA", None), "ES384": ("EC", "P-384")}
MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
MAX_KEYS = 20
MAX_KEY_ID = 255

_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,1500}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key: its `id` (`kid`), type, numbers by member name, and the one algorithm it is for, if set."""

    id: str
    kty: str
    members: tuple[tuple[str, str], ...]
    algorithm: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.id) <= MAX_KEY_ID or not self.id.isprintable():
            raise ValueError("a key's id (kid) is not a short string")
        if tuple(name for name, _ in self.members) != MEMBERS.get(self.kty):
            raise ValueError("a key has not exactly the members of its type (kty)")
        if any(_NUMBER.fullmatch(value) is None for name, value in self.members if name != "crv"):
            raise ValueError("a key's number is not base64url")

    @property
    def curve(self) -> str | None:
        return dict(self.members).get("crv")

    @property
    def jwk(self) -> dict[str, str]:
        """The key as JSON (RFC 7517 section 4)."""
        algorithm = {} if self.algorithm is None else {"alg": self.algorithm}
        return {"kty": self.kty, "kid": self.id, **dict(self.members), **algorithm, "use": "sig"}


def check_keys(keys: Sequence[PublicKey]) -> None:
    """Raises `ValueError` if the choice of a key by `kid` and algorithm could fail or not be clear."""
    if len(keys) > MAX_KEYS:
        raise ValueError(f"there are more than {MAX_KEYS} keys")
    if len({(key.id, key.kty) for key in keys}) != len(keys):
        raise ValueError("two keys of one type have the same id (kid)")
    if not all(_is_usable(key) for key in keys):
        raise ValueError(f"a key fits none of the algorithms {', '.join(FITS)}")


def read_keys(value: object) -> tuple[PublicKey, ...]:
    """The keys of a JWK set that assertions can be signed with, at least one. Raises `ValueError`.

    Keys of other types, curves, algorithms and uses are left out (RFC 7517 section 5).
    """
    found = value.get("keys") if isinstance(value, Mapping) else None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise ValueError(f"jwks is not an object with a list of at most {MAX_KEYS} keys")
    read = [_key(members) for members in found]
    keys = tuple(key for key in read if key is not None and _is_usable(key))
    if not keys:
        raise ValueError(f"jwks has no key for the algorithms {', '.join(FITS)}")
    check_keys(keys)
    return keys


def _is_usable(key: PublicKey) -> bool:
    fitting = [name for name, fit in FITS.items() if fit == (key.kty, key.curve)]
    return bool(fitting) and key.algorithm in (None, *fitting)


def _key(members: object) -> PublicKey | None:
    """The key of one JWK, or None if it is of another kind or for another use."""
    if not isinstance(members, Mapping) or not isinstance(members.get("kty"), str):
        raise ValueError("a key is not an object with a key type (kty)")
    if members["kty"] == "oct" or PRIVATE_MEMBERS & members.keys():
        raise ValueError("jwks holds a private or symmetric key")
    kind, operations = members["kty"], members.get("key_ops", ["verify"])
    if kind not in MEMBERS or members.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    numbers = tuple((name, _text(members, name)) for name in MEMBERS[kind])
    return PublicKey(
        _text(members, "kid"), kind, numbers, _text(members, "alg") if "alg" in members else None
    )


def _text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise ValueError(f"a key has no {name}, or one that is not a string")
    return value
