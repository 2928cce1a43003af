"""A record server that answers whatever a test puts in its mouth, byte for byte, and counts its requests."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

Speak = Callable[[socket.socket], None]
"""Says something on the connection of one request; when it returns the connection is closed."""

FHIR_JSON = "application/fhir+json"


class Canned:
    """`base_url` has no closing slash. `replies` are looked up by path below the base, then under `*`;
    `script`, if there is one, is asked first, with the request target."""

    def __init__(self) -> None:
        self.base_url = ""
        self.replies: dict[str, Speak] = {}
        self.requests: list[str] = []
        self.heads: list[dict[str, str]] = []
        self.script: Callable[[str], bytes | None] = lambda target: None

    def answer(self, *, path: str = "*", **reply: Any) -> None:
        self.replies[path] = lambda connection: connection.sendall(message(**self._placed(reply)))

    def speak(self, speak: Speak, *, path: str = "*") -> None:
        self.replies[path] = speak

    def reset(self) -> None:
        self.replies.clear()
        self.requests.clear()
        self.heads.clear()
        self.script = lambda target: None

    def reply_to(self, target: str) -> Speak:
        scripted = self.script(target)
        if scripted is not None:
            return lambda connection: connection.sendall(scripted)
        path = target.partition("?")[0].removeprefix("/fhir")
        missing = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
        nothing = message(status=404, body=missing)
        return self.replies.get(path) or self.replies.get("*") or (lambda c: c.sendall(nothing))

    def _placed(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """With this server's own address where a reply says `{upstream}`, or `{origin}` for its beginning."""
        text = json.dumps(reply).replace("{upstream}", self.base_url)
        placed: dict[str, Any] = json.loads(text.replace("{origin}", self.base_url.removesuffix("/fhir")))
        return placed


def message(
    *, status: int = 200, headers: Mapping[str, str] | None = None, body: Any = None, text: str | None = None
) -> bytes:
    """One HTTP answer: `text` as it is, or `body` as JSON."""
    content = (json.dumps(body, separators=(",", ":")) if text is None else text).encode()
    usual = {"Content-Type": FHIR_JSON, "Content-Length": str(len(content)), "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**usual, **(headers or {})}.items())
    return f"HTTP/1.1 {status} Canned\r\n{lines}\r\n".encode() + content


@contextmanager
def canned() -> Iterator[Canned]:
    """A running one."""
    state = Canned()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            first = self.rfile.readline().decode("latin-1").split()
            head: dict[str, str] = {}
            while (line := self.rfile.readline().strip().decode("latin-1")) != "":
                name, _, value = line.partition(":")
                assert name.lower() not in head, "a header came twice"
                head[name.lower()] = value.strip()
            self.rfile.read(int(head.get("content-length", 0)))
            if len(first) > 1:
                state.requests.append(f"{first[0]} {first[1]}")
                state.heads.append(head)
                with suppress(OSError):  # the gateway hangs up, as it should, on an endless answer
                    state.reply_to(first[1])(self.connection)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        state.base_url = f"http://127.0.0.1:{server.server_address[1]}/fhir"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
