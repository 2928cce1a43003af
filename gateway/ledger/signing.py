"""Ed25519 keys of the ledger, as C2SP notes spell them, over the `cryptography` package.

A `SigningKey` never shows its seed: not in `repr`, not in an error. Which file holds which key is
the subject of `keys`; what is signed is the subject of `core.tlog`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.core.tlog.note import SignerSeed, VerifierKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key with the name it signs under. `sign` is its only use of the seed."""

    name: str
    public: bytes
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        return cls._of(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, line: str) -> SigningKey:
        """The key of a line `PRIVATE+KEY+<name>+<key id, hex>+<base64(0x01 || seed)>`.

        Raises ValueError, without quoting the line, if it has another form or its key id is not
        that of its key.
        """
        seed = SignerSeed.parse(line)
        key = cls._of(seed.name, Ed25519PrivateKey.from_private_bytes(seed.seed))
        seed.verifier_key(key.public)
        return key

    @classmethod
    def _of(cls, name: str, private: Ed25519PrivateKey) -> SigningKey:
        return cls(name, private.public_key().public_bytes_raw(), private)

    def line(self) -> str:
        """The secret, as `parse` reads it; for the key file and nothing else."""
        return SignerSeed(self.name, self.verifier.key_id, self._private.private_bytes_raw()).format()

    def sign(self, message: bytes) -> bytes:
        """64 bytes, RFC 8032."""
        return self._private.sign(message)

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey.ed25519(self.name, self.public)


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` is by the holder of `public_key` (32 bytes)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
