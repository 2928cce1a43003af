"""The addresses a client may register: where codes are sent, apps are opened, keys and pages are found.

An address is checked once, when it is registered, and from then on compared character by character
(SMART App Launch 2.2, "Register App": exact, fully specified). So whatever two readers could
take for different hosts is refused: user names, encoded hosts, backslashes, addresses without a host.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

MAX_URI = 2048

# RFC 3986 section 2, without "#": a fragment never belongs to what is registered (RFC 6749 section 3.1.2).
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DEFAULT_PORTS = {"https": 443, "http": 80}
# RFC 8252 section 7.1: a domain name turned round; without a dot it could be any program's, or `javascript`.
_PRIVATE_USE = re.compile(
    r"[a-z][a-z0-9+-]*(\.[a-z0-9][a-z0-9+-]*)+:(/(?!/)[^?]*|//[A-Za-z0-9._-]*(/[^?]*)?)(\?.*)?"
)


def check_absolute(uri: str, what: str) -> None:
    """Raises `ValueError` unless `uri` is https or http with a host, without user or fragment: an address of
    ours, which the operator chose."""
    _split(uri, what)


def check_web(uri: str, what: str) -> None:
    """Raises `ValueError` unless `uri` is https, or http to this machine itself; `what` begins its text."""
    parts = _split(uri, what)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"{what} is not https, nor http to a loopback address")


def check_https(uri: str, what: str) -> None:
    """Raises `ValueError` unless `uri` is https."""
    if _split(uri, what).scheme != "https":
        raise ValueError(f"{what} is not https")


def check_app(uri: str, what: str) -> None:
    """Raises `ValueError` unless `uri` is as for `check_web`, or of a private-use scheme (RFC 8252)."""
    if _PRIVATE_USE.fullmatch(uri) is None:
        check_web(uri, what)
    elif _URI.fullmatch(uri) is None or len(uri) > MAX_URI:
        raise ValueError(f"{what} is not an absolute address that is accepted")


def origin(uri: str) -> str | None:
    """The origin of a checked `uri` as browsers send it (RFC 6454 section 6.2), if its scheme has one."""
    parts = urlsplit(uri)
    if parts.scheme not in _DEFAULT_PORTS:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _split(uri: str, what: str) -> SplitResult:
    """The parts of an absolute address with a host, and without user or fragment."""
    if _URI.fullmatch(uri) is None or len(uri) > MAX_URI or re.match(r"https?://[^/?]", uri) is None:
        raise ValueError(f"{what} is not an absolute address that is accepted")
    try:
        parts = urlsplit(uri)
        sound = parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError as cause:
        raise ValueError(f"{what} has no host and port that are accepted") from cause
    if not sound or _AUTHORITY.fullmatch(parts.netloc) is None:
        raise ValueError(f"{what} has no host and port that are accepted")
    return parts


def _is_host(host: str) -> bool:
    """Whether `host`, in lower case, is a name or number in its one spelling; may raise `ValueError`."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host)) == host
    return len(host) <= 253 and _HOST.fullmatch(host) is not None
