"""The second factor: codes of an authenticator app by time (RFC 6238, SHA-1, 6 digits, 30 seconds).

One step of drift either way is allowed. Which step a code is for comes out, so that its use can be
remembered and no code works twice. Secrets are kept sealed: AES-256-GCM under a key that is not in the
database, for one person, behind a random 96-bit nonce.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyotp import TOTP

from gateway.errors import Cause, StateUnavailable

STEP_S: Final = 30
DRIFT: Final = (0, -1, 1)
SECRET_BYTES: Final = 20  # RFC 4226 section 4, R6
NONCE_BYTES: Final = 12

_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_LABEL: Final = b"consentry/totp/v1 "


class Sealer:
    """Seals secrets under `key`, 32 bytes; `random` gives n random bytes."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    def new_secret(self) -> str:
        """In base32, as authenticator apps take it."""
        return base64.b32encode(self._random(SECRET_BYTES)).decode()

    def seal(self, secret: str, person: str) -> bytes:
        nonce = self._random(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), _LABEL + person.encode())

    def open(self, sealed: bytes, person: str) -> str:
        """Raises StateUnavailable for what was sealed under another key or for somebody else."""
        try:
            nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, rest, _LABEL + person.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise StateUnavailable from Cause(f"a second factor cannot be opened: {type(error).__name__}")


def step_of(secret: str, code: str, now_s: int) -> int | None:
    """The time step whose code this is, the nearest first; None if it is the code of none that counts."""
    digits = "".join(code.split())
    if _CODE.fullmatch(digits) is None:
        return None
    codes, now = TOTP(secret, interval=STEP_S), now_s // STEP_S
    matching = [now + d for d in DRIFT if hmac.compare_digest(codes.generate_otp(now + d), digits)]
    return matching[0] if matching else None


def provisioning_uri(secret: str, login: str, service: str) -> str:
    """The `otpauth:` address that authenticator apps read, as text or from a QR code."""
    return TOTP(secret, interval=STEP_S).provisioning_uri(name=login, issuer_name=service)
