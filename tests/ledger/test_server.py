"""The writer's socket when the system has no room for a connection: it says so, and goes on."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any

import pytest

from gateway.ledger import server as server_module
from gateway.ledger import wire
from gateway.ledger.ledger import Ledger
from gateway.ledger.remote import RemoteLedger
from gateway.ledger.server import LedgerServer
from tests.ledger.support import House, check_everything

NO_ROOM = OSError(errno.EMFILE, "Too many open files")
SAID = "a connection to the ledger's writer could not be accepted"


async def test_a_connection_that_cannot_be_accepted_is_accepted_later(
    house: House, embedded: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_AFTER_FAILURE_S", 0.01)
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [NO_ROOM, NO_ROOM]

    async def accepting(listener: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", accepting)
    server, remote = (
        LedgerServer(embedded, house.path),
        RemoteLedger(house.keys.origin, house.path, house.keys.checkpoint_path),
    )
    await server.start()
    with caplog.at_level(logging.ERROR):
        receipts = await remote.append([house.read()])
    assert [record.message for record in caplog.records] == [SAID, SAID]
    remote.close()
    await server.close()
    assert check_everything(house, receipts).size == 1


async def test_a_connection_that_cannot_be_used_is_hung_up_on_and_the_next_is_served(
    house: House, embedded: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_AFTER_FAILURE_S", 0.01)
    opened, failures = asyncio.open_unix_connection, [NO_ROOM]

    async def opening(*arguments: Any, **options: Any) -> Any:
        if "sock" in options and failures:
            raise failures.pop()
        return await opened(*arguments, **options)

    server, remote = (
        LedgerServer(embedded, house.path),
        RemoteLedger(house.keys.origin, house.path, house.keys.checkpoint_path),
    )
    await server.start()
    monkeypatch.setattr(asyncio, "open_unix_connection", opening)
    with caplog.at_level(logging.ERROR):
        reader, writer = await opened(str(wire.address_of(house.path)))
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    writer.close()
    assert [record.message for record in caplog.records] == [SAID]
    receipts = await remote.append([house.read()])
    remote.close()
    await server.close()
    assert check_everything(house, receipts).size == 1
