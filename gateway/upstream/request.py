"""The bytes of a request: an `Ask` of a plan becomes a request line and headers of our own, or a form.

What stays true: besides constants there is nothing in a request but the upstream's address, the gateway's
own credential, and the path and query of the ask; and what could end a line early or begin another one is
refused. Nothing of the client's request comes here.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from gateway import errors
from gateway.core.values import Ask

# RFC 7240; a lenient server would drop the very parameters that narrow a search.
HEADERS: Final = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "identity",
    "Prefer": "handling=strict",
    "User-Agent": "consentry",
}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
LONGEST_QUERY: Final = 4000  # beyond this a search goes as a form: servers cap the request line at 8 kB
OWN_PORTS: Final = {"http": 80, "https": 443}

# One word of printable ASCII, without a fragment: no space, CR, LF or NUL (RFC 9112, 3.2).
_TARGET = re.compile(r"/[!-\"$-~]*")
_VALUE = re.compile(r"[!-~]+( [!-~]+)*")


class Requests:
    """Those to the FHIR server at `base_url`, which has no trailing slash."""

    __slots__ = ("_form", "_get", "_path")

    def __init__(self, base_url: str, authorization: str | None) -> None:
        """
        Raises:
            ConfigError: `authorization` is not one line of printable ASCII.
        """
        url = urlsplit(base_url)
        own = {} if authorization is None else {"Authorization": authorization}
        headers = {"Host": url.netloc.removesuffix(f":{OWN_PORTS[url.scheme]}"), **HEADERS, **own}
        if not all(_VALUE.fullmatch(value) for value in headers.values()):
            raise errors.ConfigError("Write `authorization` of an upstream on one line, in printable ASCII.")
        self._path = url.path
        self._get = _fields(headers)
        self._form = _fields({**headers, **FORM})

    def bytes_of(self, ask: Ask) -> bytes:
        """GET, or POST of a form to `_search` (FHIR R4, 3.1.1.2), which asks the same.

        Raises:
            ValueError: a path or query that cannot stand in a request line.
        """
        path = self._path + ask.path
        query = ask.raw_query or "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in ask.query)
        if len(query) > LONGEST_QUERY and not ask.raw_query:
            end = b"Content-Length: %d\r\n\r\n%b" % (len(query), query.encode("ascii"))
            return b"POST " + _target(path + "/_search") + self._form + end
        return b"GET " + _target(f"{path or '/'}?{query}" if query else path or "/") + self._get + b"\r\n"


def _fields(headers: dict[str, str]) -> bytes:
    """What comes after the target, but for the empty line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f" HTTP/1.1\r\n{lines}".encode("ascii")


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _target(text: str) -> bytes:
    if _TARGET.fullmatch(text) is None:
        raise ValueError("not a request target")
    return text.encode("ascii")
