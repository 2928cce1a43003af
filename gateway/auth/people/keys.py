"""The keys of the log-in, each for one purpose, from the key folder's key-encryption key."""

from __future__ import annotations

import hmac
from typing import Literal

Purpose = Literal["totp", "attempts", "providers", "passkeys"]


def derive_key(kek: bytes, purpose: Purpose) -> bytes:
    """32 bytes: what second factors are sealed under, whom attempts are counted for is hashed with, or what
    log-ins at providers and challenges are derived from."""
    return hmac.digest(kek, f"consentry/auth/v1/{purpose}".encode(), "sha256")
