"""A client's certificate, which TLS has shown its sender to hold (RFC 8705).

Here it counts by its thumbprint, between its two times. Whose it is, and whether an authority vouches for
it, is asked where a client proves who it is by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from gateway.core.canon import b64url, sha256

STATE: Final = "client_certificate"
"""Where the state of an ASGI request has the certificate of its connection, as DER."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate. Raises ValueError for what is none."""

    der: bytes = field(repr=False)
    x509: x509.Certificate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "x509", x509.load_der_x509_certificate(self.der))

    @property
    def thumbprint(self) -> str:
        """`x5t#S256`: SHA-256 of its DER in base64url (RFC 8705 section 3.1)."""
        return b64url(sha256(self.der))

    def is_current(self, now_s: int) -> bool:
        """Whether `now_s` lies between its two times, both included (RFC 5280 section 4.1.2.5)."""
        now = datetime.fromtimestamp(now_s, UTC)
        return self.x509.not_valid_before_utc <= now <= self.x509.not_valid_after_utc


def in_force(der: bytes | None, now_s: int) -> Certificate | None:
    """The certificate, if there is one that can be read and is in force."""
    if der is None:
        return None
    try:
        found = Certificate(der)
        return found if found.is_current(now_s) else None
    except ValueError:  # OpenSSL reads certificates that are none by RFC 5280
        return None
