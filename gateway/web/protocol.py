"""The two HTTP parsers of uvicorn, made to agree on what a request is, and to tell of its certificate.

A target in absolute form (`GET http://host/path`, RFC 9112 section 3.2.2) keeps its host in the path with
h11 and loses it with httptools; this gateway is no forward proxy, so both must end as a bad request. h11
drops trailers (RFC 9110 section 6.5) and bounds a head or trailer that never ends; httptools is made to.

Connections, their timeouts and their order of answers are uvicorn's. Of its settings `root_path`,
`limit_concurrency` and web sockets are not looked at.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import unquote

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.tokens.certificate import STATE
from gateway.web.cycle import Cycle

NO_PATH: Final = b"*"
"""A target that `guard` refuses, put in the place of one that is not a plain path."""
MAX_UNFINISHED_BYTES: Final = 64 * 1024
"""Longest head, chunk extension or trailer that is waited for; `guard` judges a head that is complete."""


class CertifiedH11Protocol(H11Protocol):
    """h11, except that requests have the certificate of their connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = _with_certificate(self.app_state, transport)


class StrictHttpToolsProtocol(HttpToolsProtocol):
    """httptools, with certificates likewise; a target is a path, a trailer is no header, and both have an
    end."""

    _in_head = False
    _unfinished_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = _with_certificate(self.app_state, transport)

    def data_received(self, data: bytes) -> None:
        self._unfinished_bytes += len(data)
        super().data_received(data)
        if self._unfinished_bytes > MAX_UNFINISHED_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._in_head = True
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Fields after the last chunk come this way too. Among the headers they would be what nobody checked.
        if self._in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Starts the answer, or puts it behind those of the requests before it.

        A UnicodeDecodeError is the parser's to answer, with 400.
        """
        self._in_head, self._unfinished_bytes = False, 0
        version = self.parser.get_http_version()
        earlier: RequestResponseCycle | None = self.cycle
        self.cycle = self._cycle(version)
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished_bytes = 0
        super().on_message_complete()

    def _cycle(self, version: str) -> Cycle:
        path, _, query = self.url.partition(b"?")
        if not path.startswith(b"/") or b"#" in self.url:
            path, query = NO_PATH, b""
        text = path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )


def _with_certificate(state: dict[str, Any], transport: asyncio.Transport) -> dict[str, Any]:
    """The state of all requests of a connection, with the certificate that the client showed in it (DER)."""
    tls = transport.get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(binary_form=True)
    return state if der is None else {**state, STATE: der}
