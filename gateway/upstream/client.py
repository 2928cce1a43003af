"""The one place that talks to a FHIR server: an `Ask` of a plan goes out, an `UpstreamReply` comes back.

What stays true: nothing of the client's request travels, nothing of the upstream's headers comes back, no
cookie is kept, no redirect followed, no proxy taken from the environment. A body is read whole, within a
cap, before anyone sees it. What is not a plain FHIR JSON answer is `UpstreamUnusable`; the cause is for the
operator's log.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

from gateway import errors
from gateway.core.values import Ask, UpstreamReply
from gateway.upstream.answer import Answer
from gateway.upstream.pool import Address, Pool
from gateway.upstream.request import OWN_PORTS, Requests

MEDIA_TYPES: Final = frozenset({"application/fhir+json", "application/json"})
NOT_THERE: Final = frozenset({400, 404, 410})


class Transport(Protocol):
    """What the walk needs of an upstream."""

    async def fetch(self, ask: Ask) -> UpstreamReply:
        """
        Raises:
            UpstreamTimeout: no whole answer in time.
            UpstreamUnusable: no connection, or no answer that could be filtered.
        """
        ...


class Upstream:
    """A FHIR server at `base_url` (no trailing slash). Use as an async context manager."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float,
        max_bytes: int,
        authorization: str | None = None,
        connections: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`authorization` is the gateway's own credential for the server, sent with every request. An https
        server must prove its name to an authority of `tls`, by default of the system.

        Raises:
            ConfigError: `authorization` cannot be sent.
        """
        self.base_url = base_url
        self._requests = Requests(base_url, authorization)
        self._address = _address(base_url, tls)
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._connections = connections
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        self._pool = Pool(self._address, self._connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def fetch(self, ask: Ask) -> UpstreamReply:
        """See `Transport.fetch`."""
        assert self._pool is not None, "used outside its context"
        try:
            request = self._requests.bytes_of(ask)
            answer = await self._pool.ask(request, self._max_bytes, self._timeout_s)
        except TimeoutError as error:
            raise errors.UpstreamTimeout from error
        except (OSError, ValueError, errors.Cause) as error:
            raise errors.UpstreamUnusable from error
        return _reply(answer)


def _address(base_url: str, tls: ssl.SSLContext | None) -> Address:
    url = urlsplit(base_url)
    secured = (tls or ssl.create_default_context()) if url.scheme == "https" else None
    return Address(url.hostname or "", url.port or OWN_PORTS[url.scheme], secured)


def _reply(answer: Answer) -> UpstreamReply:
    if answer.status in NOT_THERE:
        return UpstreamReply(answer.status)
    if answer.status != 200:
        raise errors.UpstreamUnusable from errors.Cause(f"upstream status {answer.status}")
    media_type = answer.headers.get(b"content-type", b"")
    if not _is_fhir_json(media_type):
        raise errors.UpstreamUnusable from errors.Cause(f"upstream media type {media_type[:80]!r}")
    if answer.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise errors.UpstreamUnusable from errors.Cause("the upstream compressed what it was not asked to")
    return UpstreamReply(200, answer.body)


@lru_cache(maxsize=16)
def _is_fhir_json(media_type: bytes) -> bool:
    """Whether JSON in UTF-8. Every piece that looks like a charset counts, inside quotes too."""
    kind, *parameters = media_type.decode("latin-1").lower().split(";")
    pairs = [parameter.strip().partition("=") for parameter in parameters]
    charsets = {value.strip('"') for name, _, value in pairs if name == "charset"}
    return kind.strip() in MEDIA_TYPES and charsets <= {"utf-8"}
