"""Proof Key for Code Exchange (RFC 7636): the method S256, for every client, and no other.

SMART App Launch 2.2 forbids `plain`, which is also what an absent method means; so both are refused
where the challenge arrives, and a verifier is always hashed before it is compared.
"""

from __future__ import annotations

import hmac
import re

from gateway.core.canon import b64url, sha256
from gateway.errors import OAuthError

METHOD = "S256"

# RFC 7636 section 4.1: 43 to 128 unreserved characters.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
# 32 bytes in base64url: 43 digits, the last of which carries four bits (RFC 4648 section 3.5).
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


def read_challenge(challenge: str | None, method: str | None) -> str:
    """The `code_challenge` of an authorization request. Raises `OAuthError` (RFC 7636 section 4.4.1)."""
    if challenge is None:
        raise OAuthError(
            "invalid_request", "The parameter code_challenge is missing: every client uses PKCE."
        )
    if method != METHOD:
        raise OAuthError("invalid_request", "The parameter code_challenge_method is not S256.")
    if _CHALLENGE.fullmatch(challenge) is None:
        raise OAuthError("invalid_request", "The parameter code_challenge is not a SHA-256 in base64url.")
    return challenge


def check_verifier(verifier: str | None, challenge: str) -> None:
    """Raises `OAuthError` unless `verifier` is what `challenge` was made of (RFC 7636 section 4.6)."""
    if verifier is None:
        raise OAuthError("invalid_request", "The parameter code_verifier is missing.")
    if _VERIFIER.fullmatch(verifier) is None:
        raise OAuthError("invalid_grant", "The code_verifier is not 43 to 128 unreserved characters.")
    if not hmac.compare_digest(b64url(sha256(verifier.encode("ascii"))), challenge):
        raise OAuthError("invalid_grant", "The code_verifier does not fit the code_challenge.")
