"""Signed notes: a text and the signatures below it (c2sp.org/signed-note).

    text ending in a newline, an empty line, then signature lines
    — example.com/log n1TbB/PMmHbW...        key name, base64 of 4-byte key id and signature

Parsing is strict and `encode` gives back the same bytes. Signing and verifying Ed25519 is done by
callables passed in; this module decides which bytes they see and which signatures count.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.core.canon import b64, sha256, unb64
from gateway.errors import VerificationFailed

Sign = Callable[[bytes], bytes]
"""message -> 64-byte Ed25519 signature (RFC 8032)."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether the Ed25519 signature holds."""

MAX_SIGNATURES = 100
MAX_NOTE_BYTES = 1_000_000
KEY_BYTES = SEED_BYTES = 32
_DASH = "— "
_PRIVATE = "PRIVATE+KEY+"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Algorithm(enum.IntEnum):
    """Signature types that count; a line by any other type of key is one by an unknown key."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under; as text, `name+hex(key id)+base64(type || key)`.

    >>> str(VerifierKey.ed25519("gw1.example.com", bytes(32)))
    'gw1.example.com+74c8c9c5+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """

    name: str
    key_id: bytes
    algorithm: int
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        Algorithm(self.algorithm)
        if len(self.public_key) != KEY_BYTES:
            raise ValueError("an Ed25519 public key has 32 bytes")
        if self.key_id != key_id(self.name, self.algorithm, self.public_key):
            raise ValueError("the key id does not belong to this name and key")

    @classmethod
    def ed25519(cls, name: str, public_key: bytes) -> VerifierKey:
        """The key of a log or a gateway (type 0x01)."""
        return cls._of(name, Algorithm.ED25519, public_key)

    @classmethod
    def cosigner(cls, name: str, public_key: bytes) -> VerifierKey:
        """The key of a witness (type 0x04)."""
        return cls._of(name, Algorithm.COSIGNATURE_V1, public_key)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read one key. Raises ValueError for unknown types and for any other spelling."""
        name, id_, material = _parse_key(text)
        return cls(name, id_, material[0], material[1:])

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.algorithm]) + self.public_key)}"

    @classmethod
    def _of(cls, name: str, algorithm: int, public_key: bytes) -> VerifierKey:
        return cls(name, key_id(name, algorithm, public_key), algorithm, public_key)


@dataclass(frozen=True, slots=True)
class SignerSeed:
    """A private Ed25519 key as Go's note package writes it; the seed stays out of the repr."""

    name: str
    key_id: bytes
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.key_id) != 4 or len(self.seed) != SEED_BYTES:
            raise ValueError("a private key is a 4-byte key id and a 32-byte seed")

    @classmethod
    def parse(cls, text: str) -> SignerSeed:
        """Read a `PRIVATE+KEY+...` line; ValueError for any other spelling."""
        if not text.startswith(_PRIVATE):
            raise ValueError("not a private key line")
        name, id_, material = _parse_key(text.removeprefix(_PRIVATE))
        if material[0] != Algorithm.ED25519:
            raise ValueError("not an Ed25519 private key")
        return cls(name, id_, material[1:])

    def format(self) -> str:
        """The line itself, secret included; there is no `__str__`, so that no log prints it by accident."""
        material = bytes([Algorithm.ED25519]) + self.seed
        return f"{_PRIVATE}{self.name}+{self.key_id.hex()}+{b64(material)}"

    def verifier_key(self, public_key: bytes) -> VerifierKey:
        """The public half; ValueError if `public_key` is not what the key id was made from."""
        return VerifierKey(self.name, self.key_id, Algorithm.ED25519, public_key)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One line below a note. `signature` is what follows the key id, whatever the key's type."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.key_id) != 4 or not self.signature:
            raise ValueError("a signature line holds a 4-byte key id and a signature")

    @classmethod
    def parse(cls, line: str) -> SignatureLine:
        """Read one line without its newline; ValueError for any other spelling."""
        name, separator, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not separator:
            raise ValueError("not a signature line")
        data = unb64(encoded)
        return cls(name, data[:4], data[4:])

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {b64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text with at least one signature line; nothing is said yet about who signed."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def __post_init__(self) -> None:
        check_text(self.text)
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise ValueError(f"a note has 1 to {MAX_SIGNATURES} signatures")

    @classmethod
    def parse(cls, data: bytes) -> SignedNote:
        """Read a note without judging its signatures; ValueError unless `encode` would give `data`."""
        if len(data) > MAX_NOTE_BYTES:
            raise ValueError("the note is too long")
        text, separator, signatures = data.decode().rpartition("\n\n")
        if not separator or not signatures.endswith("\n"):
            raise ValueError("a note is a text, an empty line and signature lines")
        lines = signatures[:-1].split("\n")
        return cls(text + "\n", tuple(SignatureLine.parse(line) for line in lines))

    def encode(self) -> bytes:
        lines = "".join(f"{line}\n" for line in self.signatures)
        return f"{self.text}\n{lines}".encode()


def sign_note(text: str, key: VerifierKey, sign: Sign) -> SignedNote:
    """`text` signed by the owner of `key` (type 0x01). Raises ValueError for a text no note can hold."""
    check_text(text)
    if key.algorithm != Algorithm.ED25519:
        raise ValueError("a note is signed by a key of type 0x01")
    return SignedNote(text, (SignatureLine(key.name, key.key_id, sign(text.encode())),))


def cosign_note(text: str, key: VerifierKey, time_s: int, sign: Sign) -> SignatureLine:
    """A witness's line for the checkpoint `text`: the largest consistent head it saw at `time_s`.

    c2sp.org/tlog-cosignature: the signed bytes hold the time, and so does the signature field.
    """
    check_text(text)
    if key.algorithm != Algorithm.COSIGNATURE_V1:
        raise ValueError("a witness signs with a key of type 0x04")
    if not 0 < time_s < 2**63:
        raise ValueError("a cosignature has a time in seconds since the epoch")
    signature = sign(_cosigned_bytes(text, time_s))
    return SignatureLine(key.name, key.key_id, time_s.to_bytes(8, "big") + signature)


def cosignature_time_s(line: SignatureLine) -> int:
    """When a verified line of a 0x04 key was signed, in seconds since the epoch."""
    return int.from_bytes(line.signature[:8], "big")


def open_note(data: bytes, keys: Iterable[VerifierKey], verify: Verify) -> SignedNote:
    """The note with the signature lines of `keys` only, each of them verified.

    Lines by other keys are ignored. Raises VerificationFailed for a malformed note, for one bad
    signature by one of `keys`, and when none of `keys` signed.
    """
    known = _by_name_and_id(keys)
    try:
        note = SignedNote.parse(data)
    except ValueError as error:
        raise VerificationFailed("signed note: malformed") from error
    good: list[SignatureLine] = []
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None:
            _check_signature(note.text, key, line, verify)
            good.append(line)
    if not good:
        raise VerificationFailed("signed note: no signature by a known key")
    return SignedNote(note.text, tuple(good))


def key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """The 4 bytes that, with the name, point from a signature line to a key."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key)[:4]


def check_name(name: str) -> None:
    """Raises ValueError for a key name that a signature line or key line cannot hold."""
    if not name or "+" in name or any(c.isspace() for c in name) or _CONTROL.search(name):
        raise ValueError("a key name is not empty and has neither space, plus nor control character")
    name.encode()


def check_text(text: str) -> None:
    """Raises ValueError for a note text that is not lines of UTF-8 without control characters."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("a note text ends in a newline and has no other control characters")
    text.encode()


def _parse_key(text: str) -> tuple[str, bytes, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3 or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise ValueError("a key is name, key id and base64 material, joined by +")
    material = unb64(parts[2])
    if len(material) < 2:
        raise ValueError("the key has no material")
    return parts[0], bytes.fromhex(parts[1]), material


def _by_name_and_id(keys: Iterable[VerifierKey]) -> dict[tuple[str, bytes], VerifierKey]:
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        # Four bytes are few enough for an attacker to make a second key with the same id.
        if known.setdefault((key.name, key.key_id), key) != key:
            raise ValueError("two different keys share a name and a key id")
    return known


def _check_signature(text: str, key: VerifierKey, line: SignatureLine, verify: Verify) -> None:
    message, signature = text.encode(), line.signature
    if key.algorithm == Algorithm.COSIGNATURE_V1:
        message, signature = _cosigned_bytes(text, cosignature_time_s(line)), line.signature[8:]
    if len(signature) != 64 or not verify(key.public_key, message, signature):
        raise VerificationFailed("signed note: a signature by a known key does not verify")


def _cosigned_bytes(text: str, time_s: int) -> bytes:
    # c2sp.org/tlog-cosignature: the time is part of what is signed, in decimal.
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
