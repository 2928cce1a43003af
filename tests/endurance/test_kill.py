"""The real server, killed while it answers: nothing that a client holds is missing afterwards."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx
from gateway.core.canon import sha256_text, unb64url
from gateway.errors import VerificationFailed
from gateway.ledger.keys import load_keys
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.ledger.recorder import LedgerReader
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.vault import Vault
from tests.endurance.conftest import PATIENTS
from tests.endurance.load import Got, Load, Reader, mixed_up
from tests.endurance.site import Failed, Running, Site
from tests.interop.outsider import LogKey, leaf, verify
from tests.interop.served import Shown, clock_ms

KILLS = 5


async def test_a_killed_server_has_recorded_every_answer_it_gave(site: Site, readers: list[Reader]) -> None:
    dice = random.Random(6962)
    answers: list[Got] = []
    heads: list[bytes] = []
    for seed in range(KILLS):
        with site.served() as server:
            _check(site, server, answers, heads)
            load = await _load_until_killed(server, readers, seed, dice.uniform(0.3, 1.2))
        assert load.answers
        assert not mixed_up(load.answers, PATIENTS)
        answers += load.answers
        heads += load.heads
        assert f"verified {_committed(site)} entries" in site.command("ledger", "verify")
    with site.served() as server:
        _check(site, server, answers, heads)
        assert server.end() == 0
    assert len(heads) > KILLS


async def _load_until_killed(server: Running, readers: Sequence[Reader], seed: int, after_s: float) -> Load:
    load = Load(server.url, readers, seed)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(1_000_000))
        group.create_task(load.watch())
        await asyncio.sleep(after_s)
        await asyncio.to_thread(server.kill)
    return load


def _check(site: Site, server: Running, answers: Sequence[Got], heads: Sequence[bytes]) -> None:
    """By HTTP and public keys: the log continues all heads and holds every answer. With the keys of the
    gateway: what it holds of each is that answer."""
    key = LogKey.read(site.vkey.read_text())
    placed = [(_index(got), unb64url(got.receipt.split(";")[2]), got) for got in answers]
    with httpx.Client(trust_env=False) as client:
        log = Shown(f"{server.url}/ledger", client)
        note = log.head(key, max((index + 1 for index, _, _ in placed), default=0))
        entries = verify(log.get, key, note, [key.open(head) for head in heads])
    assert [leaf(entries[index]) for index, _, _ in placed] == [hash_ for _, hash_, _ in placed]
    keys = load_keys(site.folder / "keys")
    with (
        closing(SqliteReader(site.store)) as store,
        closing(Vault(site.folder / "vault.db", keys.kek)) as vault,
    ):
        opener = LedgerReader(store, vault)
        for index, _, got in placed:
            facts = opener.facts(index).facts
            assert facts["bd"] == sha256_text(got.body)
            assert facts["pat"] == f"Patient/{got.patient}"


async def test_what_a_torn_write_left_behind_loses_nothing(
    site: Site, readers: list[Reader], tmp_path: Path
) -> None:
    """Bytes after the last commit are those of a write that nobody was told of."""
    answers = await _answers_of_a_killed_server(site, readers)
    dice = random.Random(1)
    for place in range(8):
        copy = _copy(site, tmp_path / f"torn-{place}")
        with _wal(copy).open("ab") as wal:
            wal.write(dice.randbytes(dice.choice([1, 23, 24, 8192, 8216, 50_000])))
        with closing(_open(copy)) as ledger:
            assert ledger.head().size == _committed(copy) > max(_index(got) for got in answers)
            for got in answers:
                _, index, hash_ = got.receipt.split(";")
                assert _leaf_hash(ledger, int(index)) == unb64url(hash_)


async def test_a_log_that_lost_its_tail_is_a_beginning_or_is_refused(
    site: Site, readers: list[Reader], tmp_path: Path
) -> None:
    """A disk that lied about its writes: what is left is never something else than what was, and is gone
    on with only as long as no published head covers what is missing."""
    await _answers_of_a_killed_server(site, readers)
    whole = _leaves(_copy(site, tmp_path / "whole"))
    dice = random.Random(2)
    outcomes = set()
    for place in range(24):
        copy = _copy(site, tmp_path / f"cut-{place}")
        kept = dice.randrange(_wal(copy).stat().st_size) if place else 0
        with _wal(copy).open("r+b") as wal:
            wal.truncate(kept)
        try:
            with closing(_open(copy)) as ledger:
                assert _is_beginning(ledger, whole)
            outcomes.add("gone on with")
        except VerificationFailed as refused:
            assert "rolled back" in refused.text or "lacks the published checkpoint" in refused.text
            outcomes.add("refused")
    assert "refused" in outcomes


async def test_a_restored_snapshot_is_refused_by_name(
    site: Site, readers: list[Reader], tmp_path: Path
) -> None:
    await _answers_of_a_killed_server(site, readers)
    snapshot = _copy(site, tmp_path / "snapshot")
    with site.served() as server:
        later = Load(server.url, readers, seed=8)
        await later.run(40)
        assert server.end() == 0
    kept = site.command("ledger", "head", "--note")
    for file in snapshot.folder.glob("ledger.db*"):
        shutil.copy(file, site.folder / file.name)

    refused = site.start()
    assert isinstance(refused, Failed)
    assert refused.status == 1
    assert "rolled back" in refused.log
    assert "Traceback" not in refused.log
    assert "were published" in site.command("ledger", "verify", status=1)

    # With the keys restored too, this machine knows no better; whoever kept a head does.
    shutil.copy(snapshot.folder / "keys/checkpoint", site.folder / "keys/checkpoint")
    (site.folder / "kept").write_text(kept)
    site.command("ledger", "verify")
    said = site.command("ledger", "verify", "--saved-head", str(site.folder / "kept"), status=1)
    assert "shorter than the head seen before" in said


async def test_of_two_servers_on_one_ledger_one_writes(site: Site, readers: list[Reader]) -> None:
    """The second appends through the first. When the first is gone it releases nothing, until it is back."""
    with site.served() as second_choice, site.served() as through:
        assert await _status(through, readers[0]) == 200
        await asyncio.gather(*(Load(s.url, readers, 9).run(100) for s in (second_choice, through)))
        second_choice.kill()
        statuses = [await _status(through, readers[0]) for _ in range(3)]
        assert statuses == [503] * 3
        with site.served() as first_again:
            assert await _status(first_again, readers[1]) == 200
            assert await _status(through, readers[1]) == 200
        assert "Traceback" not in through.log
    assert f"verified {_committed(site)} entries" in site.command("ledger", "verify")


async def _answers_of_a_killed_server(site: Site, readers: Sequence[Reader]) -> list[Got]:
    with site.served() as server:
        load = await _load_until_killed(server, readers, 7, 1.5)
    assert load.answers
    return load.answers


async def _status(server: Running, reader: Reader) -> int:
    load = Load(server.url, [reader], 0)
    await load.run(1)
    (got,) = load.answers
    assert got.status == 200 or b"of:" not in got.body
    return got.status


# --- The files ------------------------------------------------------------------------------------


def _copy(site: Site, folder: Path) -> Site:
    shutil.copytree(site.folder, folder, ignore=shutil.ignore_patterns("*.sock", "*.log"))
    return Site(folder)


def _wal(site: Site) -> Path:
    return site.store.with_name("ledger.db-wal")


def _open(site: Site) -> Ledger:
    return open_ledger(site.store, load_keys(site.folder / "keys"), clock_ms)


def _committed(site: Site) -> int:
    with closing(SqliteReader(site.store)) as reader:
        return reader.head().size


def _leaves(site: Site) -> list[bytes]:
    with closing(SqliteReader(site.store)) as reader:
        return reader.leaves(0, reader.head().size)


def _is_beginning(ledger: Ledger, whole: list[bytes]) -> bool:
    size = ledger.head().size
    return ledger.reader.leaves(0, size + 1) == whole[:size]


def _leaf_hash(ledger: Ledger, index: int) -> bytes:
    (found,) = ledger.reader.leaves(index, index + 1)
    return leaf(found)


def _index(got: Got) -> int:
    return int(got.receipt.split(";")[1])
