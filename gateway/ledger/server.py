"""The writer's socket: other processes of this user append through it, each batch as its own task.

The socket file is 0600 from its first moment. A client that goes away loses its answers, not its
entries: it finds them by nonce.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import LedgerUnavailable
from gateway.ledger import wire
from gateway.ledger.ledger import Ledger
from gateway.ledger.store import EntryRefused

_AFTER_FAILURE_S = 0.1

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Client:
    """A connection: its batches not answered yet, and the requests it last said to have under way."""

    stream: asyncio.StreamWriter
    unanswered: int = 0
    under_way: int = 0


class LedgerServer:
    """Serves `ledger`, whose file is `path`, from `start` to `close`."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self._ledger = ledger
        self._path = path
        ledger.under_way.add(self._under_way)
        self._clients: dict[asyncio.Task[None], _Client] = {}

    async def start(self) -> None:
        """Listen. The lock on the ledger is ours, so a socket that is there belongs to no one."""
        self._address = wire.new_address(self._path)
        self._listener = _listen(self._address)
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Stop listening and hang up."""
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listener.close()
        wire.remove_address(self._path, self._address)
        clients = dict(self._clients)
        for serving in clients:
            serving.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for client in clients.values():
            await _hang_up(client.stream)  # a client that was cancelled before its first step did not

    async def _accept(self) -> None:
        while True:
            try:
                reader, writer = await _connection(self._listener)
            except OSError:
                log.exception("a connection to the ledger's writer could not be accepted")
                await asyncio.sleep(_AFTER_FAILURE_S)
                continue
            client = _Client(writer)
            serving = asyncio.create_task(self._serve(reader, client))
            self._clients[serving] = client
            serving.add_done_callback(self._clients.pop)

    def _under_way(self) -> int:
        # Called from the sequencer's thread. A client that waits for nothing has told what is over.
        return sum([client.under_way for client in list(self._clients.values()) if client.unanswered])

    async def _serve(self, reader: asyncio.StreamReader, client: _Client) -> None:
        try:
            async with asyncio.TaskGroup() as appends:
                # The end of the stream, or a peer that speaks something else: hang up.
                with contextlib.suppress(EOFError, ValueError, OSError):
                    while True:
                        request = await wire.read_append(reader)
                        appends.create_task(self._append(request, client))
        finally:
            await _hang_up(client.stream)

    async def _append(self, request: wire.Append, client: _Client) -> None:
        answer: wire.Answer
        client.unanswered += 1
        client.under_way = request.under_way
        try:
            done = await self._ledger.append(request.entries)
            answer = wire.Appended(request.id, [receipt.index for receipt in done])
        except LedgerUnavailable as failed:
            answer = wire.Failed(request.id, isinstance(failed, EntryRefused), failed.text)
        finally:
            client.unanswered -= 1
        if not client.stream.is_closing():
            client.stream.write(wire.encode(answer))


async def _connection(listener: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
    try:
        return await asyncio.open_unix_connection(sock=accepted)
    except BaseException:
        accepted.close()
        raise


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _listen(address: Path) -> socket.socket:
    address.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(address))
    finally:
        os.umask(before)
    listener.listen()
    listener.setblocking(False)
    return listener
