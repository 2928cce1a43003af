"""Many at once, some of whom give up at any moment: each is given the answer to its own question.

The server answers late, in pieces, with or without chunks, and ends connections whenever it likes.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
from collections import Counter

import pytest

from gateway import errors
from gateway.core.values import Ask
from gateway.upstream.answer import Answer
from gateway.upstream.client import Upstream
from gateway.upstream.connection import Connection
from tests.upstream.scripted import chunked, response

TASKS, QUESTIONS, CANCELLED, LIMIT = 48, 150, 0.1, 32


class Echo:
    """Answers each question with its own target."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.asked = self.connections = self.open = self.most_open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                await self._say(writer, head.split(b" ")[1])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, target: bytes) -> None:
        whim = self._dice.random()
        if whim < 0.01:  # without a word
            writer.close()
            return
        data = self._data(target, last=whim > 0.98)
        if whim < 0.2:
            cut = self._dice.randrange(1, len(data))
            writer.write(data[:cut])
            await writer.drain()
            await asyncio.sleep(self._dice.random() * 0.003)
            data = data[cut:]
        elif whim < 0.5:
            await asyncio.sleep(self._dice.random() * 0.003)
        writer.write(data)
        await writer.drain()
        if whim > 0.97:  # with a word of it or without
            writer.close()

    def _data(self, target: bytes, *, last: bool) -> bytes:
        body = b'{"target":"%b","x":"%b"}' % (target, b"x" * self._dice.randrange(3000))
        if self._dice.random() < 0.5:
            return chunked(body[:20], body[20:])
        return response(body, extra="Connection: close\r\n" if last else "")


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_answer_is_given_to_another_question(seed: int) -> None:
    dice = random.Random(seed)
    echo = Echo(dice)
    listener = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/fhir"
    outcomes: Counter[str] = Counter()

    async def ask_on(task: int) -> None:
        for number in range(QUESTIONS):
            outcomes[await _outcome(client, f"/Patient/{task}-{number}", dice)] += 1

    async with Upstream(url, timeout_s=30, max_bytes=10_000, connections=LIMIT) as client:
        gc.collect()
        gc.disable()
        try:
            await asyncio.gather(*(ask_on(task) for task in range(TASKS)))
            left = Counter(kind for each in gc.get_objects() if (kind := type(each)) in (Answer, Connection))
        finally:
            gc.enable()
    listener.close()
    assert outcomes["mixed"] == 0
    assert outcomes["right"] > TASKS * QUESTIONS * 0.85
    assert outcomes["cancelled"] > TASKS * QUESTIONS * CANCELLED * 0.4
    assert outcomes["right"] + outcomes["cancelled"] + outcomes["unusable"] == TASKS * QUESTIONS
    assert outcomes["unusable"] < TASKS * QUESTIONS * 0.03
    assert echo.most_open <= 2 * LIMIT  # the server learns of an end a moment later
    assert left[Answer] == 0
    assert left[Connection] <= 2 * LIMIT


async def _outcome(client: Upstream, path: str, dice: random.Random) -> str:
    task = asyncio.create_task(client.fetch(Ask(path)))
    if dice.random() < CANCELLED:
        asyncio.get_running_loop().call_later(dice.random() * 0.004, task.cancel)
    try:
        reply = await task
    except asyncio.CancelledError:
        return "cancelled"
    except errors.UpstreamUnusable:
        return "unusable"
    return "right" if reply.body.startswith(b'{"target":"/fhir%b",' % path.encode()) else "mixed"


async def test_memory_stays_flat_without_the_collector() -> None:
    body = b'"' + b"x" * 100_000 + b'"'
    data = response(body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(data)
        except asyncio.IncompleteReadError:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with Upstream(url, timeout_s=30, max_bytes=1_000_000) as client:
        gc.collect()
        gc.disable()
        try:
            await _ask_many(client, 200)
            before = _peak_bytes()
            await _ask_many(client, 2000)  # 200 MB of bodies
            assert _peak_bytes() - before < 20_000_000
        finally:
            gc.enable()
    listener.close()


async def _ask_many(client: Upstream, count: int) -> None:
    for _ in range(count // 10):
        await asyncio.gather(*(client.fetch(Ask("/Patient/a")) for _ in range(10)))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
