"""How requests reach the gateway: its own TLS, clients' certificates, and proxies that are believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from gateway.config import kinds
from gateway.config.kinds import Kind
from gateway.config.rows import Row

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NETWORKS: Final = 'write a list of networks, each once, such as ["10.0.0.7", "10.1.0.0/16"]'


def _networks(raw: object, _: Path) -> tuple[Network, ...]:
    texts = [text for text in raw if isinstance(text, str)] if isinstance(raw, list) else []
    try:
        found = tuple(map(ipaddress.ip_network, texts))
    except ValueError as error:
        raise ValueError(_NETWORKS) from error
    if not isinstance(raw, list) or len(set(found)) != len(raw):
        raise ValueError(_NETWORKS)
    return found


NETWORKS: Final = Kind("list", _networks, lambda text: [part.strip() for part in text.split(",")])
ADDRESS_HEADER: Final = kinds.choice("X-Forwarded-For", "Forwarded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS of the gateway itself, and certificates of clients, which may also come through a trusted proxy."""

    certificate: Annotated[
        Path | None,
        Row(
            kinds.FILE,
            "The gateway's certificate in PEM, with those of intermediate authorities after it; with it the "
            "gateway speaks TLS itself.",
            None,
        ),
    ]
    key: Annotated[
        Path | None, Row(kinds.FILE, "The private key of the certificate in PEM, without a password.", None)
    ]
    client_certificates: Annotated[
        str,
        Row(
            kinds.choice("off", "request"),
            "Whether clients are asked for certificates (RFC 8705): by the gateway if it speaks TLS itself, "
            "else by a trusted proxy, which sends them on as `Client-Cert`.",
            "off",
        ),
    ]
    client_ca: Annotated[
        Path | None,
        Row(
            kinds.FILE,
            "Certificates in PEM that clients' ones must lead to: authorities, whose subjects "
            "`tls_client_auth` believes, and, where the gateway speaks TLS itself, single certificates that "
            "clients have made themselves.",
            None,
        ),
    ]

    @property
    def asks(self) -> bool:
        """Whether clients may have certificates."""
        return self.client_certificates == "request"
