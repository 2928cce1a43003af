"""What goes to an upstream is ours alone, and only a plain FHIR JSON answer comes back."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from gateway import errors
from gateway.core.values import Ask, UpstreamReply
from gateway.upstream.client import Upstream
from gateway.upstream.request import LONGEST_QUERY
from tests.upstream.scripted import Script, answer, upstream


async def test_a_read_goes_out_with_our_headers_alone() -> None:
    async with upstream(answer(b'{"a":7.10}')) as (client, server):
        assert await client.fetch(Ask("/Patient/pat-a")) == UpstreamReply(200, b'{"a":7.10}')
        line, headers, body = server.requests[0]
        assert line == "GET /fhir/Patient/pat-a HTTP/1.1"
        assert headers.keys() == {"host", "accept", "accept-encoding", "prefer", "user-agent"}
        assert (headers["accept-encoding"], headers["prefer"]) == ("identity", "handling=strict")
        assert body == b""


async def test_a_query_is_encoded_once_and_a_linked_one_not_at_all() -> None:
    async with upstream(answer()) as (client, server):
        await client.fetch(Ask("/Observation", (("code", "http://loinc.org|1-8,x y"), ("date", "ge2020"))))
        await client.fetch(Ask("", raw_query="_getpages=a%2Fb&x=%7C"))
        assert [request[0] for request in server.requests] == [
            "GET /fhir/Observation?code=http%3A%2F%2Floinc.org%7C1-8%2Cx%20y&date=ge2020 HTTP/1.1",
            "GET /fhir?_getpages=a%2Fb&x=%7C HTTP/1.1",
        ]


async def test_a_long_search_goes_as_a_form() -> None:
    ids = ",".join(f"id-{number}" for number in range(LONGEST_QUERY // 6))
    async with upstream(answer()) as (client, server):
        await client.fetch(Ask("/Observation", (("_id", ids),)))
        line, headers, body = server.requests[0]
        assert line == "POST /fhir/Observation/_search HTTP/1.1"
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        assert body == b"_id=" + ids.replace(",", "%2C").encode()


async def test_the_gateways_own_credential_goes_with_every_request() -> None:
    async with upstream(answer(), authorization="Basic abc") as (client, server):
        await client.fetch(Ask("/Patient/a"))
        await client.fetch(Ask("/Patient", (("_id", "x" * (LONGEST_QUERY + 1)),)))
        assert [headers["authorization"] for _, headers, _ in server.requests] == ["Basic abc"] * 2


async def test_cookies_are_not_kept() -> None:
    async with upstream(answer(extra="Set-Cookie: session=1\r\n")) as (client, server):
        await client.fetch(Ask("/Patient/a"))
        await client.fetch(Ask("/Patient/b"))
        assert server.connections == 1
        assert "cookie" not in server.requests[1][1]


@pytest.mark.parametrize("status", ["400 Bad", "404 Not Found", "410 Gone"])
async def test_what_is_not_there_comes_back_without_the_upstreams_words(status: str) -> None:
    async with upstream(answer(b'{"secret":1}', status)) as (client, _):
        assert await client.fetch(Ask("/Patient/a")) == UpstreamReply(int(status[:3]))


@pytest.mark.parametrize(
    "media_type",
    [
        "application/fhir+json",
        "application/json",
        "Application/FHIR+JSON;charset=UTF-8",
        'application/fhir+json ; fhirVersion=4.0; charset="utf-8"',
    ],
)
async def test_json_in_utf_8_is_read(media_type: str) -> None:
    script = answer(media_type=media_type, extra="Content-Encoding: Identity\r\n")
    async with upstream(script) as (client, _):
        assert await client.fetch(Ask("/Patient/a")) == UpstreamReply(200, b"{}")


async def garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"nothing that is HTTP\r\n\r\n")


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def too_short(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 99\r\n\r\n{}")
    await writer.drain()
    writer.close()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(100):
        writer.write(b"100\r\n" + b"x" * 256 + b"\r\n")


UNUSABLE = {
    "a redirect": answer(status="302 Found", extra="Location: http://127.0.0.1:1/\r\n"),
    "no content": answer(b"", "204 No Content"),
    "accepted for later": answer(status="202 Accepted"),
    "a part": answer(status="206 Partial Content"),
    "unauthorized": answer(status="401 Unauthorized"),
    "an error": answer(status="500 Oops"),
    "HTML": answer(media_type="text/html"),
    "XML": answer(media_type="application/fhir+xml"),
    "no media type": answer(media_type=""),
    "another charset": answer(media_type="application/fhir+json; charset=utf-16"),
    "another charset, quoted": answer(media_type='application/json; charset="latin-1"'),
    "another charset behind a parameter": answer(media_type='application/json; a="b;c"; charset=utf-16'),
    "two charsets": answer(media_type="application/json; charset=utf-8; charset=utf-16"),
    "two media types": answer(media_type="application/fhir+json, text/html"),
    "JSON of another kind": answer(media_type="application/fhir+jsonp"),
    "compressed": answer(gzip.compress(b"{}"), extra="Content-Encoding: gzip\r\n"),
    "compressed and not": answer(extra="Content-Encoding: identity, gzip\r\n"),
    "too long": answer(b"x" * 1001),
    "garbage": garbage,
    "a hang-up": hang_up,
    "a body cut short": too_short,
    "a body without end": endless,
}


@pytest.mark.parametrize("script", UNUSABLE.values(), ids=UNUSABLE)
async def test_anything_else_is_unusable(script: Script) -> None:
    async with upstream(script) as (client, server):
        with pytest.raises(errors.UpstreamUnusable) as refused:
            await client.fetch(Ask("/Patient/a"))
        assert "Oops" not in refused.value.text
        assert [line for line, _, _ in server.requests] == ["GET /fhir/Patient/a HTTP/1.1"]


async def test_the_longest_answer_is_read() -> None:
    async with upstream(answer(b'"' + b"x" * 998 + b'"')) as (client, _):
        assert len((await client.fetch(Ask("/Patient/a"))).body) == 1000


async def test_a_slow_answer_is_a_timeout() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)

    async with upstream(slow, timeout_s=0.1) as (client, _):
        with pytest.raises(errors.UpstreamTimeout):
            await client.fetch(Ask("/Patient/a"))


async def test_nobody_there() -> None:
    async with Upstream("http://127.0.0.1:9", timeout_s=1, max_bytes=10) as client:
        with pytest.raises(errors.UpstreamUnusable):
            await client.fetch(Ask("/Patient/a"))


async def test_a_connection_that_was_closed_between_requests_is_made_again() -> None:
    async def once(writer: asyncio.StreamWriter) -> None:
        await answer()(writer)
        await writer.drain()
        writer.close()

    async with upstream(once) as (client, server):
        for _ in range(3):
            assert (await client.fetch(Ask("/Patient/a"))).status == 200
        assert server.connections == 3
