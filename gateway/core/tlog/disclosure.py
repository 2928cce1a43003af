"""Facts hidden behind one commitment, opened one at a time (the form of RFC 9901, SD-JWT).

    disclosure  D = base64url(JCS([base64url(salt), name, value]))
    digest      d = SHA-256(ASCII(D))
    commitment  SHA-256("fhir-ledger/sd/v1" LF, then 16 sorted digests, 32 bytes each)

Decoys fill up to 16 digests, so that neither the number of facts nor their presence shows. Salts and
decoys come from a per-patient key: nothing is stored, and with the key destroyed no digest can be
guessed back to a value.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from gateway.core.canon import Json, b64url_each, canonical, parse_canonical, unb64url
from gateway.errors import VerificationFailed

NONCE_BYTES = TAG_BYTES = SALT_BYTES = 16
KEY_BYTES = 32
DIGESTS = 16
"""How many digests every entry commits to, facts and decoys together."""

_COMMON = frozenset({"pat", "rid", "ms", "act", "cli", "pol"})
_GRANT = frozenset({"doc", "scp", "aud", "pou", "nbf", "exp", "cat", "sig", "aut"})


KINDS: Mapping[str, frozenset[str]] = {
    "consent.grant": _COMMON | _GRANT,
    "consent.change": _COMMON | _GRANT | {"prv"},
    "consent.revoke": _COMMON | {"prv", "rsn"},
    "authority.grant": _COMMON | {"who", "rel", "exp"},
    "authority.end": _COMMON | {"prv"},
    "token.issue": _COMMON | {"con", "cas", "rol", "org", "aut", "bg", "jti", "jkt", "x5t", "scp", "exp"},
    "token.revoke": _COMMON | {"tok", "rsn"},
    "read.permit": _COMMON | {"con", "tok", "int", "pou", "rty", "rids", "q", "st", "len", "bd", "late"},
    "read.done": _COMMON | {"prm", "len", "bd", "ok"},
    "read.deny": _COMMON | {"con", "tok", "int", "pou", "q", "rsn", "by", "rol", "org", "cas"},
    "bg.open": _COMMON | {"rsn", "scp", "exp", "bg", "rol", "org", "src"},
    "bg.review": _COMMON | {"bg", "rev", "out", "n_reads"},
    "res.altered": _COMMON | {"res", "was", "now", "src"},
    "contract.out": _COMMON | {"ctr", "clm", "in", "out", "amt", "cur"},
    "key.rotate": _COMMON | {"old", "new", "kind"},
    "erase": _COMMON | {"req", "kid", "hold"},
    "shard.open": _COMMON | {"orig", "size", "root"},
}
"""Entry type -> the names of the facts it may hide. What is not listed does not exist."""


@dataclass(frozen=True, slots=True)
class SubjectKeys:
    """What is derived from one patient's (or the organisation's) key; never printed."""

    tag: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    enc: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not len(self.tag) == len(self.salt) == len(self.enc) == KEY_BYTES:
            raise ValueError("a derived key has 32 bytes")


def derive_keys(secret: bytes) -> SubjectKeys:
    """HKDF-SHA256 (RFC 5869), empty salt, info `fhir-ledger/v1/` and tag, salt or enc."""
    if len(secret) != KEY_BYTES:
        raise ValueError("a patient key has 32 bytes")
    extracted = hmac.digest(bytes(32), secret, "sha256")
    tag, salt, enc = (
        # One block is all 32 bytes of output; the 0x01 is its counter.
        hmac.digest(extracted, b"fhir-ledger/v1/" + name + b"\x01", "sha256")
        for name in (b"tag", b"salt", b"enc")
    )
    return SubjectKeys(tag, salt, enc)


def patient_tag(keys: SubjectKeys, nonce: bytes) -> bytes:
    """The tag of the entry with this nonce: only who holds the keys can tell whose it is."""
    return keyed_hash(keys.tag, nonce)(b"")[:TAG_BYTES]


def disclose(
    nonce: bytes, keys: SubjectKeys, facts: Mapping[str, Json]
) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """The disclosures, by name, and the 16 sorted digests of these facts under this nonce.

    Whoever holds the keys gets the same result again. Raises ValueError for more than 16 facts.
    """
    if len(facts) > DIGESTS:
        raise ValueError("an entry hides at most 16 facts")
    keyed = keyed_hash(keys.salt, nonce)
    names = _in_order(tuple(facts))
    salts = b64url_each([keyed(ascii_)[:SALT_BYTES] for _, ascii_ in names])
    # Salt and name are ASCII that needs no escape, so only the value goes through the encoder.
    texts = b64url_each(
        [
            b'["%b","%b",%b]' % (salt, ascii_, canonical(facts[name]))
            for (name, ascii_), salt in zip(names, salts, strict=True)
        ]
    )
    digests = [sha256(text).digest() for text in texts]
    digests += [keyed(b"decoy%d" % i) for i in range(DIGESTS - len(facts))]
    digests.sort()
    return tuple([text.decode() for text in texts]), tuple(digests)


def commitment(digests: Sequence[bytes]) -> bytes:
    """The 32 bytes that an entry shows for its facts; ValueError unless 16 sorted, distinct digests."""
    check_digests(digests)
    return commitment_of_disclosed(digests)


def commitment_of_disclosed(digests: Sequence[bytes]) -> bytes:
    """As `commitment`, for digests just made by `disclose`, which sorts them; what others send is checked."""
    return sha256(b"fhir-ledger/sd/v1\n" + b"".join(digests)).digest()


def check_digests(digests: Sequence[bytes]) -> None:
    """ValueError unless 16 sorted, distinct digests."""
    if len(digests) != DIGESTS or set(map(len, digests)) != {32}:
        raise ValueError("an entry commits to 16 digests of 32 bytes")
    if list(digests) != sorted(set(digests)):
        raise ValueError("digests are sorted, and no two are equal")


def open_disclosures(kind: str, digests: Sequence[bytes], disclosures: Sequence[str]) -> dict[str, Json]:
    """The facts these disclosures open, name -> value.

    Raises VerificationFailed for a disclosure that is malformed, not among the digests, opened
    twice, or of a name that entries of this kind do not hide.
    """
    committed = frozenset(digests)
    facts: dict[str, Json] = {}
    for text in disclosures:
        name, value = _open(text, committed)
        if name in facts or name not in KINDS[kind]:
            raise VerificationFailed("disclosure: a fact that this entry cannot hold")
        facts[name] = value
    return facts


@lru_cache(maxsize=256)
def _in_order(names: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    """Names in the order of disclosure, with their bytes; entries of one kind mostly hide the same ones."""
    return tuple([(name, name.encode()) for name in sorted(names)])


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def keyed_hash(key: bytes, prefix: bytes = b"") -> Callable[[bytes], bytes]:
    """HMAC-SHA256 (RFC 2104) of `prefix` and what follows; key and prefix are hashed once, not per call.

    Unlike `hmac.digest` it does not let other threads run in between, which costs more than the hash.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    block = key.ljust(64, b"\x00")
    inner, outer = sha256(block.translate(_INNER) + prefix), sha256(block.translate(_OUTER))

    def keyed(rest: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(rest)
        second.update(first.digest())
        return second.digest()

    return keyed


def _open(text: str, committed: frozenset[bytes]) -> tuple[str, Json]:
    try:
        data = unb64url(text)
        parts = parse_canonical(data)
    except ValueError as error:
        raise VerificationFailed("disclosure: malformed") from error
    match parts:
        case [str(salt), str(name), value] if _is_salt(salt):
            if sha256(text.encode()).digest() not in committed:
                raise VerificationFailed("disclosure: not among the digests of this entry")
            return name, value
        case _:
            raise VerificationFailed("disclosure: malformed")


def _is_salt(text: str) -> bool:
    try:
        return len(unb64url(text)) == SALT_BYTES
    except ValueError:
        return False
