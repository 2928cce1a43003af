"""The two HTTP parsers of uvicorn, made to agree on what a request is.

A target in absolute form (`GET http://host/path`, RFC 9112 section 3.2.2) keeps its host in the path with
h11 and loses it with httptools; this gateway is no forward proxy, so both must end as a bad request. h11
drops trailers (RFC 9110 section 6.5) and bounds a head or trailer that never ends; httptools is made to.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

NO_PATH: Final = b"*"
"""A target that `guard` refuses, put in the place of one that is not a plain path."""
MAX_UNFINISHED_BYTES: Final = 64 * 1024
"""Longest head, chunk extension or trailer that is waited for; `guard` judges a head that is complete."""


class StrictHttpToolsProtocol(HttpToolsProtocol):
    """httptools, except that a target is a path, a trailer is no header, and both have an end."""

    _in_head = False
    _unfinished_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._unfinished_bytes += len(data)
        super().data_received(data)
        if self._unfinished_bytes > MAX_UNFINISHED_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Fields after the last chunk come this way too. Among the headers they would be what nobody checked.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._unfinished_bytes = False, 0
        if not self.url.startswith(b"/") or b"#" in self.url:
            self.url = NO_PATH
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished_bytes = 0
        super().on_message_complete()
