"""Who sent a request: the address and the TLS certificate of the client, settled before anything else reads.

Whoever connects says both by connecting. A proxy in front stands between, so one that is trusted is believed
about whom it was asked by (RFC 9440, RFC 7239), and its own address and certificate are nobody's. Nothing
that another sender says is believed: a certificate in a header is refused, an address is not looked at.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import errors
from gateway.tokens.certificate import STATE, Certificate
from gateway.web.render import outcome, respond

CLIENT_CERT: Final = b"client-cert"
AddressHeader = Literal["X-Forwarded-For", "Forwarded"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 8941 section 4.2.7, where padding may be left out. Parameters would mean nothing (RFC 9440 section 2.2).
_BYTES: Final = re.compile(rb" *:([A-Za-z0-9+/]*={0,2}): *")
_FOR: Final = re.compile(r'\s*for=("?)([^"\s]+)\1\s*', re.IGNORECASE)
_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Trust:
    """Who is believed about whom: addresses of proxies, the header in which they add the address that they
    were asked from, and whether they send certificates on."""

    proxies: tuple[Network, ...] = ()
    header: AddressHeader = "X-Forwarded-For"
    certificates: bool = False

    def is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.proxies)


class Senders:
    """Settles who sent a request before `app` sees it, in `client` and in the state of its scope."""

    def __init__(self, app: ASGIApp, trust: Trust) -> None:
        self._app, self._trust = app, trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                settle(scope, self._trust)
            except errors.BadRequest as error:
                await respond(send, error.status, outcome(error), ())
                return
        await self._app(scope, receive, send)


def settle(scope: Scope, trust: Trust) -> None:
    """Puts the client that sent a request in the place of the proxy that it came through, if it is trusted.

    Raises BadRequest for a certificate from who is not believed, or one that is none.
    """
    certificates = [value for name, value in scope["headers"] if name == CLIENT_CERT]
    peer = _address((scope.get("client") or ("",))[0]) if trust.proxies else None
    trusted = trust.is_proxy(peer)
    if certificates and not (trusted and trust.certificates):
        raise errors.BadRequest("The header Client-Cert is taken from trusted proxies alone.")
    if not trusted:
        return
    state = dict(scope.get("state", {}))
    state.pop(STATE, None)  # the proxy's own
    if certificates:
        state[STATE] = _certificate(certificates)
    scope["state"] = state
    scope["client"] = (str(_sender(scope["headers"], peer, trust)), 0)


def _certificate(values: Sequence[bytes]) -> bytes:
    """The certificate of a Client-Cert header (RFC 9440 section 2.2), as DER."""
    match = _BYTES.fullmatch(values[0]) if len(values) == 1 else None
    try:
        if match is None:
            raise ValueError("not one byte sequence")
        digits = match[1].rstrip(b"=")
        padded = digits + b"=" * (-len(digits) % 4)
        if match[1] not in (digits, padded):
            raise ValueError("padded otherwise than base64")
        return Certificate(b64decode(padded, validate=True)).der
    except ValueError as error:
        raise errors.BadRequest("The header Client-Cert is not one certificate (RFC 9440).") from error


def _sender(headers: Iterable[tuple[bytes, bytes]], peer: Address | None, trust: Trust) -> Address | None:
    """The last address that a trusted proxy vouches for: going back from us, the first that is no such proxy.

    What lies before that one was written by whoever it is, and is not looked at. Where a proxy did not write
    an address, it is the proxy itself.
    """
    name = trust.header.lower().encode()
    steps = [step for found, value in headers if found == name for step in value.split(b",")]
    nearest = peer
    for step in reversed(steps):
        address = READ[trust.header](step.decode("latin-1"))
        if address is None:
            break
        nearest = address
        if not trust.is_proxy(address):
            break
    return nearest


def _plain(step: str) -> Address | None:
    """One step of X-Forwarded-For: an address, perhaps with a port."""
    text = step.strip()
    with_port = _WITH_PORT.fullmatch(text)
    return _address((with_port[1] or with_port[2]) if with_port else text)


def _forwarded(step: str) -> Address | None:
    """One step of Forwarded (RFC 7239 section 4). No address has a comma, whatever a client may have quoted
    before it, so steps are parted by commas alone."""
    found = [match[2] for part in step.split(";") if (match := _FOR.fullmatch(part))]
    return _plain(found[0]) if len(found) == 1 else None


READ: Final = {"X-Forwarded-For": _plain, "Forwarded": _forwarded}


def _address(text: str) -> Address | None:
    """An address; one of IPv4 is that, however it came."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped
