"""The load generator against servers that answer rightly, wrongly, and in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.bench.load import Order, measure

BODY = b"x" * 5000
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nLedger-Entry: a;1;b\r\n\r\n" + BODY


@asynccontextmanager
async def answering(answer: bytes, *, piece: int = 1 << 20, then_close: bool = False) -> AsyncIterator[int]:
    """A server that gives `answer`, `piece` bytes at a time, to every request; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for start in range(0, len(answer), piece):
                    writer.write(answer[start : start + piece])
                    await writer.drain()
                    await asyncio.sleep(0)
                if then_close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def order(port: int, connections: int = 2, marked_by: str = "ledger-entry") -> Order:
    return Order(port, "/fhir/Patient/1", "Bearer t", connections, 0.05, 0.01, len(BODY), marked_by)


@pytest.mark.parametrize("piece", [1 << 20, 700, 30], ids=["whole", "packets", "crumbs"])
async def test_answers_are_counted_however_they_arrive(piece: int) -> None:
    async with answering(GOOD, piece=piece) as port:
        result = await measure(order(port))
    assert result.failed == ""
    assert result.total >= 2
    assert result.refused == 0
    assert 0 < result.p50_ms <= result.p99_ms
    assert result.per_second > 0


async def test_each_connection_has_an_answer_even_when_time_is_short() -> None:
    async with answering(GOOD) as port:
        result = await measure(order(port, connections=40))
    assert result.total >= 40


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (GOOD.replace(b"200 OK", b"502 Bad Gateway"), "502"),
        (GOOD.replace(b"Length: 5000", b"Length: 4999"), "200"),
        (GOOD.replace(b"Ledger-Entry", b"Ledger-Entries"), "200"),
        (GOOD + b"y", "more bytes"),
    ],
    ids=["status", "length", "no receipt", "too much"],
)
async def test_a_wrong_answer_fails_the_measurement(answer: bytes, wrong: str) -> None:
    async with answering(answer) as port:
        result = await measure(order(port))
    assert wrong in result.failed
    assert result.per_second == 0


async def test_a_503_is_counted_and_left_out() -> None:
    async with answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno.") as port:
        result = await measure(order(port))
    assert (result.failed, result.refused, result.total) == ("", 1, 0)
    assert result.per_second == result.p50_ms == 0


async def test_without_a_mark_the_header_is_not_asked_for() -> None:
    async with answering(GOOD.replace(b"Ledger-Entry", b"Ledger-Entries")) as port:
        assert (await measure(order(port, marked_by=""))).failed == ""


async def test_a_connection_that_is_closed_fails_the_measurement() -> None:
    async with answering(GOOD, then_close=True) as port:
        assert (await measure(order(port))).failed == "the connection was closed"
