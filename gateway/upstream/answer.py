"""One response of an upstream, parsed as its bytes come (RFC 9112).

What stays true: an answer is whole only when its own length or last chunk says so; one whose end only the
end of the connection would tell is refused, since a cut one looks the same. Each has a parser of its own,
so nothing of one answer can be in the next. Nothing here knows FHIR, or sockets.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

LONGEST_HEAD: Final = 65536  # bytes of all heads and trailers of an answer, interim ones too
MOST_HEADERS: Final = 128

# All that is looked at; each may be there once.
KEPT: Final = frozenset({b"content-encoding", b"content-length", b"content-type", b"transfer-encoding"})
WITHOUT_BODY: Final = frozenset({204, 304})


class Answer:
    """To be fed until it is `whole` or something is `wrong`, then closed.

    `wrong` says what, in our own words. `headers` has those of `KEPT`, names in lower case.
    `keeps_open` says whether the server will take another request on the connection.
    """

    __slots__ = (
        "_count",
        "_in_head",
        "_max_bytes",
        "_parser",
        "_pieces",
        "_size",
        "headers",
        "keeps_open",
        "received",
        "status",
        "whole",
        "wrong",
    )

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` is the longest body that is read."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.keeps_open = False
        self.whole = False
        self.wrong = ""
        self.received = 0  # bytes
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._count = 0
        self._in_head = True
        self._parser = HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> None:
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._refuse("the upstream's answer is not HTTP/1.1")
        # Framing may take as much again as the body: chunks of a few bytes each.
        if self.received > LONGEST_HEAD + 2 * self._size:
            self._refuse("an upstream answer with too much about it")

    def close(self) -> None:
        """Parser and answer refer to each other: without this, memory waits for the garbage collector."""
        del self._parser

    # --- Called by the parser, in this order -------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.whole:
            self._refuse("the upstream sent more than the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count += 1
        if self._count > MOST_HEADERS:
            self._refuse("an upstream answer with too many headers")
        name = name.lower()
        if name in KEPT and self._in_head:  # a trailer says nothing that counts
            if name in self.headers:
                self._refuse(f"an upstream answer with {name.decode()} twice")
            self.headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.status = self._parser.get_status_code()
        self.keeps_open = self._parser.should_keep_alive()
        length = self.headers.get(b"content-length")
        if length is not None:
            if int(length) > self._max_bytes:
                self._refuse_length()
        elif self.headers.get(b"transfer-encoding", b"").lower() != b"chunked" and self._may_have_body():
            self._refuse("an upstream answer whose end cannot be told")

    def on_body(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes:
            self._refuse_length()
        else:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._is_interim():
            self.headers.clear()
            self._in_head = True
        else:
            self.whole = not self.wrong

    # -----------------------------------------------------------------------------------------------

    def _is_interim(self) -> bool:
        return 100 <= self.status < 200

    def _may_have_body(self) -> bool:
        return not self._is_interim() and self.status not in WITHOUT_BODY

    def _refuse(self, why: str) -> None:
        self.wrong = self.wrong or why
        self.whole = False

    def _refuse_length(self) -> None:
        self._refuse("an upstream answer over max_body_bytes")
