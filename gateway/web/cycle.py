"""One answer on its way out: in one write when it is all there, which nearly every answer is.

uvicorn writes a head as soon as it is told of it, field by field. Here a head waits for what comes next, and
a whole body leaves together with it, after the same checks. Anything else (streams, HEAD, a status without a
body, the last answer of a connection) goes uvicorn's own way.
"""

from __future__ import annotations

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)


class Cycle(RequestResponseCycle):
    """A request and its answer. An application that fails between head and body is answered for with 500,
    as nothing has left."""

    _start: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start" and not self.response_started:
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if message["type"] == "http.response.body" and self._sent_whole(start, message):
                return
            await super().send(start)
        await super().send(message)

    def _sent_whole(self, start: HTTPResponseStartEvent, end: HTTPResponseBodyEvent) -> bool:
        """Sends the answer if it is plain; False, and nothing was sent, if it is not."""
        headers, body = start.get("headers"), end.get("body", b"")
        if not isinstance(headers, list) or (b"content-length", b"%d" % len(body)) not in headers:
            return False
        names, values = zip(*headers, strict=True)
        if (
            end.get("more_body")
            or self.disconnected
            or not self.keep_alive
            or self.flow.write_paused
            or self.scope["method"] == "HEAD"
            or b"connection" in names
            or b"transfer-encoding" in names
            or HEADER_RE.search(b"".join(names))
            or HEADER_VALUE_RE.search(b"".join(values))
        ):
            return False
        fields = b"\r\n".join(map(b": ".join, [*self.default_headers, *headers]))
        self.transport.writelines([STATUS_LINE[start["status"]] + fields + b"\r\n\r\n", body])
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()
        return True
