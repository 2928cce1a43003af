"""Several server processes on one listening socket, and the process above them, which writes the ledger.

A worker is this program again. It inherits the socket, and a pipe whose end means that the parent is gone,
so no worker outlives it, however it ended. A worker that ends by itself is started anew. What workers count
lies in a folder of theirs, which is gone with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.cli.running import GRACE_S
from gateway.errors import ConfigError
from gateway.web.metrics import SHARED_FOLDER

READY: Final = b"ready\n"
LONGEST_END_S: Final = GRACE_S + 1
# A worker that keeps dying must not take the machine with it.
RESTART_AFTER_S: Final = 1.0

log = logging.getLogger("consentry.workers")


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker is started with."""

    command: Sequence[str]
    environment: Mapping[str, str]
    listener: socket.socket


@asynccontextmanager
async def workers(
    count: int, arguments: Sequence[str], listener: socket.socket, stop: asyncio.Event
) -> AsyncIterator[None]:
    """`count` workers, all up when the block begins and gone when it ends.

    `arguments` are those of the command that a worker runs; the socket's descriptor is appended. Raises
    ConfigError if one does not start.
    """
    command = [sys.executable, "-m", "gateway", *arguments, str(listener.fileno())]
    with tempfile.TemporaryDirectory(prefix="consentry-metrics-") as counts:
        async with _kept(count, _Job(command, {**os.environ, SHARED_FOLDER: counts}, listener), stop):
            yield


@asynccontextmanager
async def _kept(count: int, job: _Job, stop: asyncio.Event) -> AsyncIterator[None]:
    running: list[Process] = []
    keepers: list[asyncio.Task[None]] = []
    try:
        for _ in range(count):
            running.append(await _spawn(job))
        for process in running:
            await _await_ready(process)
        keepers = [asyncio.create_task(_keep(running, i, job, stop)) for i in range(count)]
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*map(_end, running))


def tell_ready() -> None:
    """Said by a worker when it takes connections."""
    os.write(sys.stdout.fileno(), READY)


async def parent_gone() -> None:
    """Returns when the process that started this one has ended, or wants it to end."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
    try:
        await stream.read()
    finally:
        transport.close()


def clear_away() -> None:
    """Done by a worker whose parent did not live to do it."""
    shutil.rmtree(os.environ[SHARED_FOLDER], ignore_errors=True)


async def _spawn(job: _Job) -> Process:
    return await asyncio.create_subprocess_exec(
        *job.command,
        stdin=PIPE,
        stdout=PIPE,
        pass_fds=[job.listener.fileno()],
        start_new_session=True,
        env=job.environment,
    )


async def _await_ready(process: Process) -> None:
    assert process.stdout is not None
    if await process.stdout.readline() != READY:
        raise ConfigError("A worker process could not start; its own message says why.")


async def _keep(running: list[Process], place: int, job: _Job, stop: asyncio.Event) -> None:
    while True:
        status = await running[place].wait()
        if stop.is_set():
            return
        log.error("worker %d ended with status %d and is started anew", running[place].pid, status)
        await asyncio.sleep(RESTART_AFTER_S)
        running[place] = await _spawn(job)


async def _end(process: Process) -> None:
    """First asked, then made to."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(LONGEST_END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
