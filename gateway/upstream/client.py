"""The one place that talks to a FHIR server: an `Ask` of a plan goes out, an `UpstreamReply` comes back.

What stays true: nothing of the client's request travels (every header here is ours), nothing of the
upstream's headers comes back, no cookie is kept, no redirect followed, no proxy taken from the
environment. A body is read whole, within a cap, before anyone sees it. What is not a plain FHIR JSON
answer is `UpstreamUnusable`; the cause is for the operator's log.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from gateway import errors
from gateway.core.values import Ask, UpstreamReply

# RFC 7240; a lenient server would drop the very parameters that narrow a search.
HEADERS: Final = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "identity",
    "Prefer": "handling=strict",
    "User-Agent": "consentry",
}
FORM: Final = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
LONGEST_QUERY: Final = 4000  # beyond this a search goes as a form: servers cap the request line at 8 kB
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
    ) -> None:
        """`authorization` is the gateway's own credential for the server, sent with every request."""
        self.base_url = base_url
        own = {} if authorization is None else {"Authorization": authorization}
        self._headers = {**HEADERS, **own}
        self._form = {**FORM, **own}
        self._max_bytes = max_bytes
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, ask: Ask) -> UpstreamReply:
        """See `Transport.fetch`."""
        assert self._session is not None, "used outside its context"
        query = ask.raw_query or urlencode(ask.query, quote_via=quote, safe="")
        url = self.base_url + ask.path
        if len(query) > LONGEST_QUERY and not ask.raw_query:
            call = self._session.post(
                URL(url + "/_search", encoded=True),
                data=query.encode(),
                headers=self._form,
                allow_redirects=False,
            )
        else:
            target = URL(f"{url}?{query}" if query else url, encoded=True)
            call = self._session.get(target, headers=self._headers, allow_redirects=False)
        try:
            async with call as response:
                return await self._read(response)
        except TimeoutError as error:
            raise errors.UpstreamTimeout from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise errors.UpstreamUnusable from error

    async def _read(self, response: aiohttp.ClientResponse) -> UpstreamReply:
        if response.status in NOT_THERE:
            return UpstreamReply(response.status)
        if response.status != 200:
            raise errors.UpstreamUnusable from errors.Cause(f"upstream status {response.status}")
        if response.content_type not in MEDIA_TYPES or (response.charset or "utf-8").lower() != "utf-8":
            raise errors.UpstreamUnusable from errors.Cause(f"upstream media type {response.content_type!r}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise errors.UpstreamUnusable from errors.Cause(
                "the upstream compressed what it was not asked to"
            )
        return UpstreamReply(200, await self._body(response))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if (response.content_length or 0) > self._max_bytes:
            raise errors.UpstreamUnusable from errors.Cause("an upstream answer over max_body_bytes")
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._max_bytes:
                raise errors.UpstreamUnusable from errors.Cause(
                    "the upstream's answer is over max_body_bytes"
                )
            chunks.append(chunk)
        return b"".join(chunks)
