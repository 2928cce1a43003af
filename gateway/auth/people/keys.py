"""The keys of the log-in, each for one purpose, from the key folder's key-encryption key."""

from __future__ import annotations

import hmac
from typing import Literal

Purpose = Literal["totp", "attempts"]


def derive_key(kek: bytes, purpose: Purpose) -> bytes:
    """32 bytes: what second factors are sealed under, or whom attempts are counted for is hashed with."""
    return hmac.digest(kek, f"consentry/auth/v1/{purpose}".encode(), "sha256")
