from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ledger import sequencer
from gateway.ledger.keys import init_keys
from gateway.ledger.ledger import Ledger, create_ledger, open_ledger
from gateway.ledger.vault import Vault
from tests.interop.fsck import program
from tests.interop.served import House, Shown, clock_ms, shown
from tests.upstreams.base import Missing

ORIGIN = "hospital.example/consentry"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A new, empty ledger, closed."""
    keys = init_keys(tmp_path / "keys", ORIGIN)
    create_ledger(tmp_path / "ledger.db", keys)
    return House(tmp_path / "ledger.db", keys, Vault(tmp_path / "vault.db", keys.kek))


@pytest.fixture
async def ledger(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """The same, open for writing. Its heads are published every few milliseconds."""
    monkeypatch.setattr(sequencer, "PUBLISH_EVERY_S", 0.01)
    monkeypatch.setattr(sequencer, "IDLE_AFTER_S", 0.01)
    opened = open_ledger(house.path, house.keys, clock_ms)
    yield opened
    opened.close()


@pytest.fixture
async def log(ledger: Ledger) -> AsyncIterator[Shown]:
    """The ledger's addresses, as a client finds them."""
    with shown(ledger) as log:
        yield log


@pytest.fixture(scope="session")
def checker() -> Path:
    """Tessera's fsck."""
    try:
        return program()
    except Missing as missing:
        pytest.skip(str(missing))
