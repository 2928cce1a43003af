"""The TLS that `consentry serve` speaks itself, as the settings have it: versions 1.2 and 1.3.

A client may show a certificate, and need not: who must have one is told by its token or its registration. One
that does not lead to `client_ca` ends the handshake, as OpenSSL gives Python no say in it; a certificate that
a client has made itself leads there by being listed.
"""

from __future__ import annotations

import ssl

from gateway.config import Tls
from gateway.errors import ConfigError
from gateway.tokens.vouching import Authorities, read_authorities


def context_of(tls: Tls) -> ssl.SSLContext | None:
    """What to serve with; None for plain HTTP. Raises ConfigError."""
    if tls.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a password would be asked for on the terminal; this answer is refused instead.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"server.tls: the certificate {tls.certificate} and its key {tls.key} cannot be used: {error}"
        ) from error
    if tls.asks:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            raise ConfigError(f"server.tls.client_ca: {tls.client_ca} cannot be used: {error}") from error
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def authorities_of(tls: Tls) -> Authorities | None:
    """Those whose word about clients' certificates is taken; None if there are none. Raises ConfigError."""
    if not tls.asks or tls.client_ca is None:
        return None
    try:
        return read_authorities(tls.client_ca.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"server.tls.client_ca: {tls.client_ca} cannot be used: {error}") from error
