"""The outgoing requests of this package: GET a JSON document from an address, or POST a form to one.

No redirects, no proxies from the environment, no cookies, nothing kept between two requests; a cap
on bytes and on the whole time, so that a slow or endless answer cannot hold a caller.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

TIMEOUT_S = 5.0
MAX_BYTES = 262_144
# `identity`, because the cap counts bytes on the wire: a compressed answer could unfold to any size.
_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}


class FetchFailed(Exception):
    """No whole answer within the limits; the text is for the operator's log."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer as it came, of any status; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpxFetch:
    """`await fetch(url)` over httpx. Certificates are checked against the system's store."""

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_BYTES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._tls = tls or ssl.create_default_context()

    async def __call__(self, url: str, address: str | None = None) -> Fetched:
        """The answer to GET `url`. With `address`, an IP address, that is connected to and the host not
        looked up; the certificate is the host's all the same.

        Raises `FetchFailed`, for every way in which there is no answer.
        """
        return await self._within_limits(url, lambda target: self._ask("GET", target, address))

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Fetched:
        """The answer to a form sent to `url`, with these headers more. Raises `FetchFailed`."""
        body = urlencode(form).encode()
        more = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self._within_limits(url, lambda target: self._ask("POST", target, None, more, body))

    async def post_json(self, url: str, value: object, headers: Mapping[str, str]) -> Fetched:
        """The answer to a JSON document sent to `url`, with these headers more. Raises `FetchFailed`."""
        body = json.dumps(value).encode()
        more = {"content-type": "application/json", **headers}
        return await self._within_limits(url, lambda target: self._ask("POST", target, None, more, body))

    async def _within_limits(self, url: str, ask: Callable[[httpx.URL], Awaitable[Fetched]]) -> Fetched:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await ask(httpx.URL(url))
        except TimeoutError as cause:
            raise FetchFailed(f"no whole answer in {self._timeout_s:g} s") from cause
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as cause:
            raise FetchFailed(type(cause).__name__) from cause

    async def _ask(
        self,
        method: str,
        url: httpx.URL,
        address: str | None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Fetched:
        target = url if address is None else url.copy_with(host=address)
        # A client for each request costs little here and has no jar or pool to carry anything over.
        async with (
            httpx.AsyncClient(
                verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._timeout_s
            ) as client,
            client.stream(
                method,
                target,
                content=body,
                headers={**_HEADERS, "host": url.netloc.decode("ascii"), **(headers or {})},
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            ) as response,
        ):
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise FetchFailed("the answer is compressed, which was not asked for")
            return Fetched(response.status_code, dict(response.headers), await self._body(response))

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchFailed(f"the answer is longer than {self._max_bytes} bytes")
        return bytes(body)
