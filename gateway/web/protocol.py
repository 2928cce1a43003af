"""The two HTTP parsers of uvicorn, made to agree on request targets.

A target in absolute form (`GET http://host/path`, RFC 9112 section 3.2.2) keeps its host in the path with
h11 and loses it with httptools; this gateway is no forward proxy, so both must end as a bad request.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

NO_PATH = b"*"
"""A target that `guard` refuses, put in the place of one that is not a plain path."""


class StrictHttpToolsProtocol(HttpToolsProtocol):
    """httptools, except that only an origin-form target is taken as a path."""

    def on_headers_complete(self) -> None:
        if not self.url.startswith(b"/") or b"#" in self.url:
            self.url = NO_PATH
        super().on_headers_complete()
