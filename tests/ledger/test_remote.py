"""The writer's socket: who may use it, what a lost connection means, and peers that misbehave."""

from __future__ import annotations

import asyncio
import stat
import tempfile
from pathlib import Path

import pytest

from gateway.errors import LedgerUnavailable, VerificationFailed
from gateway.ledger import sequencer, wire
from gateway.ledger.keys import init_keys
from gateway.ledger.ledger import Ledger, create_ledger, open_ledger
from gateway.ledger.remote import RemoteLedger, open_or_connect
from gateway.ledger.server import LedgerServer
from tests.ledger.support import House, check_everything, clock_ms


async def test_a_lost_connection_is_retried_and_nothing_is_appended_twice(
    house: House, embedded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer appends, then hangs up instead of answering: once, and then every time."""
    server = LedgerServer(embedded, house.path)
    await server.start()
    remote = RemoteLedger(house.keys.origin, house.path, house.keys.checkpoint_path)
    encode = wire.encode
    losses = 1

    def lossy(message: wire.Append | wire.Answer) -> bytes:
        nonlocal losses
        if isinstance(message, wire.Appended) and losses:
            losses -= 1
            return b"\xff\xff\xff\xff"  # not an answer: the client hangs up
        return encode(message)

    monkeypatch.setattr(wire, "encode", lossy)
    receipts = await remote.append([house.read()])
    assert [r.index for r in receipts] == [0]
    losses = 2
    entry = house.read()
    with pytest.raises(LedgerUnavailable):
        await remote.append([entry])
    assert [r.index for r in await remote.append([entry])] == [1]
    assert check_everything(house, receipts).size == 2
    remote.close()
    await server.close()


async def test_the_writer_is_told_what_is_under_way_elsewhere(
    house: House, embedded: Ledger, remote: RemoteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit waits for all that another process has under way, and forgets it with the answers."""
    monkeypatch.setattr(sequencer, "GATHER_S", 60.0)
    remote.under_way.add(lambda: 8)
    appends, told = [], list[int]()
    for _ in range(8):
        appends.append(asyncio.create_task(remote.append([house.read()])))
        async with asyncio.timeout(30):
            while not told and embedded.under_way() != 8:  # noqa: ASYNC110 - the other side is told by a socket
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.005)
        told.append(embedded.under_way())
    async with asyncio.timeout(30):
        receipts = [receipt for (receipt,) in await asyncio.gather(*appends)]
    assert sorted(receipt.index for receipt in receipts) == list(range(8))
    assert told[:7] == [8] * 7
    assert embedded.under_way() == 0


async def test_without_a_writer_nothing_is_recorded(house: House, remote: RemoteLedger) -> None:
    await remote.append([house.read()])
    remote.close()
    alone = RemoteLedger(house.keys.origin, house.path, house.keys.checkpoint_path)
    wire.address_of(house.path).unlink()
    with pytest.raises(LedgerUnavailable):
        await alone.append([house.read()])
    assert alone.head().size == 1
    alone.close()


async def test_a_writer_that_restarts_is_found_again(house: House) -> None:
    remote = None
    for expected in range(3):
        ledger = open_ledger(house.path, house.keys, clock_ms)
        server = LedgerServer(ledger, house.path)
        await server.start()
        remote = remote or RemoteLedger(house.keys.origin, house.path, house.keys.checkpoint_path)
        assert [r.index for r in await remote.append([house.read()])] == [expected]
        await server.close()
        ledger.close()
    assert remote is not None
    remote.close()


async def test_only_this_user_may_connect(house: House, remote: RemoteLedger) -> None:
    assert stat.S_IMODE(wire.address_of(house.path).stat().st_mode) == 0o600


BAD_FRAMES = {
    "too long": (wire.MAX_FRAME_BYTES + 1).to_bytes(4),
    "not MessagePack": b"\x00\x00\x00\x01\xc1",
    "another message": wire.encode(wire.Appended(1, [2])),
    "an unknown member": b"\x00\x00\x00\x19\x84\xa4type\xa6Append\xa2id\x01\xa7entries\x90\xa1x\x01",
    "a short nonce": wire.encode(wire.Append(1, [])).replace(b"\x90", b"\x91\x81\xa5nonce\xc4\x01a"),
    "cut": wire.encode(wire.Append(1, []))[:-1],
}


@pytest.mark.parametrize("frame", BAD_FRAMES)
async def test_a_peer_that_speaks_otherwise_is_hung_up_on(
    house: House, remote: RemoteLedger, frame: str
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(wire.address_of(house.path)))
    writer.write(BAD_FRAMES[frame])
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert [r.index for r in await remote.append([house.read()])] == [0]


async def test_a_client_that_leaves_loses_its_answer_not_its_entry(
    house: House, remote: RemoteLedger
) -> None:
    entry = house.read()
    _, writer = await asyncio.open_unix_connection(str(wire.address_of(house.path)))
    writer.write(wire.encode(wire.Append(1, [entry])))
    await writer.drain()
    writer.close()
    receipts = await remote.append([entry])
    assert check_everything(house, receipts).size == 1


async def test_a_path_too_long_for_a_socket_gets_a_short_address() -> None:
    with tempfile.TemporaryDirectory() as folder:
        deep = Path(folder) / ("d" * 100)
        keys = init_keys(deep / "keys", "a.example/log")
        create_ledger(deep / "ledger.db", keys)
        first = open_ledger(deep / "ledger.db", keys, clock_ms)
        server = LedgerServer(first, deep / "ledger.db")
        await server.start()
        second = await open_or_connect(deep / "ledger.db", keys, clock_ms)
        assert isinstance(second, RemoteLedger)
        assert len(bytes(wire.address_of(deep / "ledger.db"))) < 108
        second.close()
        await server.close()
        assert not wire.address_of(deep / "ledger.db").parent.exists()
        first.close()


async def test_a_writer_of_other_keys_is_not_trusted(
    house: House, remote: RemoteLedger, tmp_path: Path
) -> None:
    other = init_keys(tmp_path / "other", house.keys.origin)
    with pytest.raises(VerificationFailed):
        await open_or_connect(house.path, other, clock_ms)
