"""The public keys that a client registers by value (RFC 7517; SMART App Launch 2.2, "JWK sets"): to sign
assertions with, or each with the certificate that the client uses for TLS (RFC 8705 section 2.2).

Only bare public members are kept, and the certificate where that is what counts; so what is stored can hold
no secret. A set that shows a private or symmetric key is refused whole: whoever sent it has just given it
away. Whether the numbers are sound keys, and the certificate is the key's, is for `gateway.auth` to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# What a key must be for each algorithm that assertions may use (RFC 7518 section 3.1): type and curve.
FITS: dict[str, tuple[str, str | None]] = {"RS384": ("RSA", None), "ES384": ("EC", "P-384")}
# What the key of a certificate may be: TLS signs with it, by an algorithm of its own choice.
CERTIFIED = (("RSA", None), ("EC", "P-256"), ("EC", "P-384"), ("EC", "P-521"))
MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
MAX_KEYS = 20
MAX_KEY_ID = 255

_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,1500}")
# RFC 7517 section 4.7: base64 with padding, not base64url.
_CERTIFICATE = re.compile(r"(?:[A-Za-z0-9+/]{4}){1,4096}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key: its `id` (`kid`), type, numbers by member name, and the one algorithm it is for, if set.
    `certificate` is the first of `x5c`, as written there."""

    id: str
    kty: str
    members: tuple[tuple[str, str], ...]
    algorithm: str | None = None
    certificate: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.id) <= MAX_KEY_ID or not self.id.isprintable():
            raise ValueError("a key's id (kid) is not a short string")
        if tuple(name for name, _ in self.members) != MEMBERS.get(self.kty):
            raise ValueError("a key has not exactly the members of its type (kty)")
        if any(_NUMBER.fullmatch(value) is None for name, value in self.members if name != "crv"):
            raise ValueError("a key's number is not base64url")
        if self.certificate is not None and _CERTIFICATE.fullmatch(self.certificate) is None:
            raise ValueError("a key's certificate (x5c) is not base64")

    @property
    def curve(self) -> str | None:
        return dict(self.members).get("crv")

    @property
    def jwk(self) -> dict[str, object]:
        """The key as JSON (RFC 7517 section 4)."""
        algorithm = {} if self.algorithm is None else {"alg": self.algorithm}
        certificate = {} if self.certificate is None else {"x5c": [self.certificate]}
        members = dict(self.members)
        return {"kty": self.kty, "kid": self.id, **members, **algorithm, **certificate, "use": "sig"}


def check_keys(keys: Sequence[PublicKey], *, certified: bool = False) -> None:
    """Raises `ValueError` if the choice of a key by `kid` and algorithm could fail or not be clear; or, of
    `certified` ones, if one has no certificate."""
    if len(keys) > MAX_KEYS:
        raise ValueError(f"there are more than {MAX_KEYS} keys")
    if len({(key.id, key.kty) for key in keys}) != len(keys):
        raise ValueError("two keys of one type have the same id (kid)")
    if certified and not all(_is_certified(key) for key in keys):
        raise ValueError("a key has no certificate (x5c), or is of another type than certificates may have")
    if not certified and not all(_is_usable(key) for key in keys):
        raise ValueError(f"a key fits none of the algorithms {', '.join(FITS)}")


def read_keys(value: object) -> tuple[PublicKey, ...]:
    """The keys of a JWK set that assertions can be signed with, at least one. Raises `ValueError`.

    Keys of other types, curves, algorithms and uses are left out (RFC 7517 section 5).
    """
    keys = _fitting(value, _is_usable, certificate=False)
    if not keys:
        raise ValueError(f"jwks has no key for the algorithms {', '.join(FITS)}")
    check_keys(keys)
    return keys


def read_certified_keys(value: object) -> tuple[PublicKey, ...]:
    """The keys of a JWK set that have a certificate, at least one; others are left out. Raises
    `ValueError`."""
    keys = _fitting(value, _is_certified, certificate=True)
    if not keys:
        raise ValueError("jwks has no key with a certificate (x5c)")
    check_keys(keys, certified=True)
    return keys


def _fitting(value: object, fits: Callable[[PublicKey], bool], *, certificate: bool) -> tuple[PublicKey, ...]:
    found = value.get("keys") if isinstance(value, Mapping) else None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise ValueError(f"jwks is not an object with a list of at most {MAX_KEYS} keys")
    read = [_key(members, certificate=certificate) for members in found]
    return tuple(key for key in read if key is not None and fits(key))


def _is_usable(key: PublicKey) -> bool:
    fitting = [name for name, fit in FITS.items() if fit == (key.kty, key.curve)]
    return bool(fitting) and key.algorithm in (None, *fitting) and key.certificate is None


def _is_certified(key: PublicKey) -> bool:
    return key.certificate is not None and (key.kty, key.curve) in CERTIFIED


def _key(members: object, *, certificate: bool) -> PublicKey | None:
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
    return PublicKey(
        _text(members, "kid"),
        kind,
        tuple((name, _text(members, name)) for name in MEMBERS[kind]),
        _text(members, "alg") if "alg" in members else None,
        _first_certificate(members) if certificate and "x5c" in members else None,
    )


def _first_certificate(members: Mapping[str, object]) -> str:
    chain = members["x5c"]
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise ValueError("a key's certificates (x5c) are not a list of strings")
    return chain[0]


def _text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise ValueError(f"a key has no {name}, or one that is not a string")
    return value
