"""Damage to the database beside a withdrawal: the consent never comes back, whatever was changed.

A start refuses it, whether it shows without keys or takes the patient's key to see; in a gateway that runs,
a withdrawal that cannot be opened makes every request that depends on consents end with 503. Each case is
SQL on the ledger, `:w` the entry of the withdrawal.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.core.tlog.tree import leaf_hash
from gateway.errors import VerificationFailed
from gateway.house import now_ms, open_house
from gateway.ledger.keys import load_keys
from gateway.ledger.ledger import open_ledger
from tests.support.gateway import Gateway, gateway
from tests.support.house import prepare
from tests.walk.canned import Canned
from tests.walk.faults import READ, observation, page

RENAME = "UPDATE sqlite_schema SET sql = replace(sql, '{}', '{}') WHERE name = 'entry_state'"
REINDEXED = ";".join(
    [
        "PRAGMA writable_schema = ON",
        RENAME.format("consent.revoke", "consent.xxxxxx"),
        "PRAGMA writable_schema = RESET",
        "REINDEX entry_state",
        "PRAGMA writable_schema = ON",
        RENAME.format("consent.xxxxxx", "consent.revoke"),
    ]
)
"""The index of kinds, built so that it lacks withdrawals."""
REFUSED = {
    "kind": ("UPDATE entry SET kind = 'read.deny' WHERE idx = :w", "^entry {w}: its columns"),
    "kind as bytes": ("UPDATE entry SET kind = CAST(kind AS BLOB) WHERE idx = :w", "^entry {w}: its columns"),
    "kind and leaf": (
        "UPDATE entry SET kind = 'read.deny', leaf = CAST(replace(CAST(leaf AS TEXT), 'consent.revoke', "
        "'read.deny') AS BLOB) WHERE idx = :w",
        "^entry {w}: its hash",
    ),
    "kind, leaf and tile": (
        "UPDATE entry SET kind = 'read.deny', leaf = CAST(replace(CAST(leaf AS TEXT), 'consent.revoke', "
        "'read.deny') AS BLOB) WHERE idx = :w;"
        "UPDATE tile SET data = join3(substr(data, 1, 32 * :w), leaf_hash((SELECT leaf FROM entry WHERE "
        "idx = :w)), substr(data, 33 + 32 * :w)) WHERE level = 0",
        "^head: the entries",
    ),
    "index of kinds": (REINDEXED, "^entry {w}: the index"),
    "mark of the head": ("UPDATE head SET mark = 1000000000", "^head: its mark"),
    "mark of the head, lower": ("UPDATE head SET mark = 1", "^head: its mark"),
    "trigger": ("CREATE TRIGGER t AFTER INSERT ON entry BEGIN SELECT 1\\; END", "^database: trigger t"),
    "the row": ("DELETE FROM entry WHERE idx = :w", "^entry {w}: missing"),
}
UNOPENED = {
    "key id of the sidecar": "UPDATE sidecar SET key_id = flip(key_id) WHERE idx = :w",
    "bytes of the sidecar": "UPDATE sidecar SET data = flip(data) WHERE idx = :w",
    "another entry's sidecar": (
        "UPDATE sidecar SET data = (SELECT data FROM sidecar WHERE idx = 0) WHERE idx = :w"
    ),
    "the sidecar": "DELETE FROM sidecar WHERE idx = :w",
}
"""It takes keys to see them."""


@pytest.fixture
def withdrawn(tmp_path: Path, record_server: Canned) -> Path:
    """The folder of a gateway at rest, whose one consent was read under and is withdrawn."""
    with _withdrawing(tmp_path, record_server):
        pass
    return tmp_path


@contextmanager
def _withdrawing(folder: Path, record_server: Canned) -> Iterator[Gateway]:
    """A gateway whose last answer was under a consent that is withdrawn since."""
    record_server.reset()
    record_server.answer(path="/Observation/x", body=observation())
    record_server.answer(path="/Observation", body=page())
    with gateway(folder, record_server.base_url) as house:
        consent = house.permit()
        assert "CANARY" in house.get(READ, house.token()).text
        house.revoke(consent["id"])
        yield house


def test_without_damage_the_consent_stays_withdrawn(withdrawn: Path, record_server: Canned) -> None:
    with gateway(withdrawn, record_server.base_url) as house:
        assert house.get(READ, house.token()).status_code == 403
        house.check_everything(unanswered=1)  # the read that the gateway before it answered


@pytest.mark.parametrize("damage", REFUSED)
def test_damage_that_a_start_can_see_stops_it(withdrawn: Path, damage: str) -> None:
    statements, says = REFUSED[damage]
    withdrawal = _plant(withdrawn, statements)
    settings = prepare(withdrawn, "")
    keys = load_keys(settings.ledger.keys)
    with pytest.raises(VerificationFailed, match=says.format(w=withdrawal)):
        open_ledger(settings.ledger.store, keys, now_ms)


@pytest.mark.parametrize("damage", UNOPENED)
async def test_damage_that_takes_a_key_to_see_stops_a_start_too(withdrawn: Path, damage: str) -> None:
    withdrawal = _plant(withdrawn, UNOPENED[damage])
    with pytest.raises(VerificationFailed, match=rf"^entry {withdrawal}: its sidecar .*; restore the ledger"):
        async with open_house(prepare(withdrawn, "")):
            pass


@pytest.mark.parametrize("damage", UNOPENED)
def test_damage_under_a_running_gateway_releases_nothing(
    tmp_path: Path, record_server: Canned, damage: str
) -> None:
    with _withdrawing(tmp_path, record_server) as house:
        withdrawal = _plant(tmp_path, UNOPENED[damage])
        for _ in range(2):
            answer = house.get(READ, house.token())
            assert answer.status_code == 503
            assert "CANARY" not in answer.text
        with pytest.raises(VerificationFailed, match=f"^entry {withdrawal}: its sidecar"):
            house.check_everything()


async def test_a_lost_vault_stops_a_start(withdrawn: Path) -> None:
    """Every key is gone with it, and an erasure of none is in the ledger."""
    (withdrawn / "vault.db").unlink()
    with pytest.raises(VerificationFailed, match=r"names a key that is unknown .*; restore the ledger"):
        async with open_house(prepare(withdrawn, "")):
            pass


def _plant(folder: Path, statements: str) -> int:
    """Changes the database; the index of the withdrawal."""
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as db:
        db.create_function("flip", 1, lambda data: data[:5] + bytes([data[5] ^ 1]) + data[6:])
        db.create_function("leaf_hash", 1, leaf_hash)
        db.create_function("join3", 3, lambda *parts: b"".join(parts))
        [(withdrawal,)] = db.execute("SELECT idx FROM entry WHERE kind = 'consent.revoke'")
        for statement in re.split(r"(?<!\\);", statements):
            db.execute(statement.replace("\\;", ";"), {"w": withdrawal})
    assert isinstance(withdrawal, int)
    return withdrawal
