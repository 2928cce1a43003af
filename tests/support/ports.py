"""Sockets for tests: ports that are free because they are bound, and requests written byte for byte."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from typing import Final

CHOSEN: Final = range(20_000, 32_768)
"""Ports that no system gives out by itself: a connection that somebody makes takes one of a higher number."""


def bound_socket() -> socket.socket:
    """A TCP socket bound to a free port of the loopback, for a server to listen on."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    return listener


def unused_port() -> int:
    """A port on which nothing listens, for settings that need a number and for refused connections.

    It is one of `CHOSEN`, so that it stays free until it is used.
    """
    for port in random.SystemRandom().sample(CHOSEN, 100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("100 ports in a row are taken")


def raw_http(port: int, request: bytes, *, quiet_s: float = 1.0) -> bytes:
    """What a server sends back for `request` as it stands, until it closes or pauses for `quiet_s`.

    With `Connection: close` in the request no pause is waited for. Before the first byte a busy machine has
    10 s. A server that hangs up on what it has not read to the end resets the connection (RFC 9112 section
    9.6); what it said before that is read all the same.
    """
    parts = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        with suppress(ConnectionError):
            connection.sendall(request)
        with suppress(TimeoutError, ConnectionError):
            while part := connection.recv(65536):
                parts.append(part)
                connection.settimeout(quiet_s)
    return b"".join(parts)
