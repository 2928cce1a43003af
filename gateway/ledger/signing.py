"""Ed25519 keys of the ledger, as C2SP notes spell them, over libsodium (PyNaCl).

Every entry is signed, and a whole ledger is verified signature by signature; libsodium takes little more
than half the time of OpenSSL for the one and half for the other. A `SigningKey` never shows its seed: not
in `repr`, not in an error. Which file holds which key is the subject of `keys`; what is signed is the
subject of `core.tlog`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_sign,
    crypto_sign_ed25519_sk_to_seed,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from gateway.core.tlog.note import KEY_BYTES, SEED_BYTES, SignerSeed, VerifierKey

_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key with the name it signs under. `sign` is its only use of the seed."""

    name: str
    public: bytes
    _secret: bytes = field(repr=False, compare=False)  # as libsodium has it: seed and public key

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        return cls._of(name, secrets.token_bytes(SEED_BYTES))

    @classmethod
    def parse(cls, line: str) -> SigningKey:
        """The key of a line `PRIVATE+KEY+<name>+<key id, hex>+<base64(0x01 || seed)>`.

        Raises ValueError, without quoting the line, if it has another form or its key id is not
        that of its key.
        """
        seed = SignerSeed.parse(line)
        key = cls._of(seed.name, seed.seed)
        seed.verifier_key(key.public)
        return key

    @classmethod
    def _of(cls, name: str, seed: bytes) -> SigningKey:
        return cls(name, *crypto_sign_seed_keypair(seed))

    def line(self) -> str:
        """The secret, as `parse` reads it; for the key file and nothing else."""
        return SignerSeed(
            self.name, self.verifier.key_id, crypto_sign_ed25519_sk_to_seed(self._secret)
        ).format()

    def sign(self, message: bytes) -> bytes:
        """64 bytes, RFC 8032."""
        return crypto_sign(message, self._secret)[:_SIGNATURE_BYTES]

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey.ed25519(self.name, self.public)


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` is by the holder of `public_key` (32 bytes)."""
    # libsodium is given the signature joined to the message: a length of its own would move the border.
    if len(public_key) != KEY_BYTES or len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True
