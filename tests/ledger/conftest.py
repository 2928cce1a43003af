from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.ledger import sequencer
from gateway.ledger.keys import init_keys
from gateway.ledger.ledger import Ledger, create_ledger, open_ledger
from gateway.ledger.recorder import Recorder
from gateway.ledger.remote import RemoteLedger
from gateway.ledger.server import LedgerServer
from gateway.ledger.vault import Vault
from tests.ledger.support import ORIGIN, House, clock_ms


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are published every few milliseconds, so that no test waits for one."""
    monkeypatch.setattr(sequencer, "PUBLISH_EVERY_S", 0.01)
    monkeypatch.setattr(sequencer, "IDLE_AFTER_S", 0.01)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A new, empty ledger, closed."""
    keys = init_keys(tmp_path / "keys", ORIGIN)
    create_ledger(tmp_path / "ledger.db", keys)
    vault = Vault(tmp_path / "vault.db", keys.kek)
    yield House(tmp_path / "ledger.db", keys, vault, Recorder(vault, keys.gateway))
    vault.close()


@pytest.fixture
async def embedded(house: House) -> AsyncIterator[Ledger]:
    ledger = open_ledger(house.path, house.keys, clock_ms)
    yield ledger
    ledger.close()


@pytest.fixture
async def remote(house: House, embedded: Ledger) -> AsyncIterator[RemoteLedger]:
    """A ledger that appends through the socket of `embedded`."""
    server = LedgerServer(embedded, house.path)
    await server.start()
    ledger = RemoteLedger(ORIGIN, house.path, house.keys.checkpoint_path)
    yield ledger
    ledger.close()
    await server.close()


@pytest.fixture(params=["embedded", "remote"])
async def ledger(
    request: pytest.FixtureRequest, embedded: Ledger, remote: RemoteLedger
) -> Ledger | RemoteLedger:
    """Both ways to hold a ledger: what one suite says holds for either."""
    return embedded if request.param == "embedded" else remote
