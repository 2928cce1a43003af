"""Requests written byte for byte to a running gateway, and the answers that come back, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """`headers` by lower-case name; where a name repeats, the last one."""

    status: int
    headers: dict[str, str]
    body: bytes


def replies(received: bytes) -> list[Reply]:
    """The answers in what a server sent, whole to the last byte; AssertionError if they are not.

    None of them answers a HEAD. Interim answers (1xx) are among them.
    """
    found = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        assert blank, received
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, *_ = first.split(" ")
        assert version == "HTTP/1.1", first
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        bodiless = status.startswith("1") or status in ("204", "304")
        if headers.get("transfer-encoding") == "chunked":
            body, received = _unchunked(rest)
        else:
            length = 0 if bodiless else int(headers.get("content-length", len(rest)))
            assert len(rest) >= length, received
            body, received = rest[:length], rest[length:]
        found.append(Reply(int(status), headers, body))
    return found


def _unchunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, end, data = body + data[:length], data[length : length + 2], data[length + 2 :]
        assert end == b"\r\n"
        if not length:
            return body, data
