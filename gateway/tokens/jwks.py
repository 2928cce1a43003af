"""A JSON Web Key Set, read into the keys that may verify access tokens (RFC 7517).

Only the public members that a signature needs are handed to the key library. A set that shows a
private or symmetric key is refused whole: it was not meant to be read, and its keys are no secret
any more. Keys for other uses, and keys too weak or of an unknown kind, are left out.
"""

from __future__ import annotations

from base64 import b64decode

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from gateway.tokens.compact import read_json
from gateway.tokens.signature import FITS, MAX_RSA_BITS, MIN_RSA_BITS, VerificationKey

MAX_BYTES = 262_144
MAX_KEYS = 100

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
PUBLIC_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES = {curve for fit in FITS.values() for curve in fit.curves}


def parse_jwks(data: bytes) -> tuple[VerificationKey, ...]:
    """The usable keys of a JWK set, in its order. Raises `ValueError`."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"a key set has at most {MAX_BYTES} bytes")
    document = read_json(data)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise ValueError(f"a key set is an object with a list of at most {MAX_KEYS} keys")
    read = [_key(key) for key in keys]
    return tuple(key for key in read if key is not None)


def _key(members: object) -> VerificationKey | None:
    """The key of one JWK, or None if it is not one for verifying tokens."""
    if not isinstance(members, dict) or not isinstance(members.get("kty"), str):
        raise ValueError("a key is an object with a key type (kty)")
    if members["kty"] == "oct" or PRIVATE_MEMBERS & members.keys():
        raise ValueError("the key set holds a private or symmetric key")
    if members["kty"] not in PUBLIC_MEMBERS or not _is_for_verifying(members):
        return None
    curve, algorithm = _text(members, "crv"), _text(members, "alg")
    if curve not in _CURVES or (algorithm is not None and algorithm not in FITS):
        return None
    jwk = _public_jwk(members)
    if jwk is None:
        return None
    return VerificationKey(
        _text(members, "kid"), members["kty"], curve, algorithm, jwk, _first_certificate(members)
    )


def _is_for_verifying(members: dict[str, object]) -> bool:
    operations = members.get("key_ops", ["verify"])
    return _text(members, "use") in (None, "sig") and isinstance(operations, list) and "verify" in operations


def _public_jwk(members: dict[str, object]) -> JWK | None:
    """The key, made of nothing but the members its kind needs; None if it is not a sound one."""
    kind = str(members["kty"])
    try:
        jwk = JWK(kty=kind, **{name: _text(members, name) for name in PUBLIC_MEMBERS[kind]})
        public = jwk.get_op_key("verify", members.get("crv"))
    except (JWException, ValueError, TypeError):
        return None
    if kind == "RSA" and not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        return None
    return jwk


def _first_certificate(members: dict[str, object]) -> bytes | None:
    """The key's certificate (RFC 7517 section 4.7), if it can be read: most sets are for signatures alone."""
    chain = members.get("x5c")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        return None
    try:
        return b64decode(chain[0], validate=True)
    except ValueError:
        return None


def _text(members: dict[str, object], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"the key member {name} is not a string")
    return value
