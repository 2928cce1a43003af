"""The real server, killed while it answers: nothing that a client holds is missing afterwards."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable, Sequence
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

KILLS = 4
REFUSALS = (
    "The ledger was rolled back",
    "The database lacks the published checkpoint",
)


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
    with site.served() as server:
        _check(site, server, answers, heads)
        assert server.end() == 0
    assert f"verified {_committed(site)} entries" in site.command("ledger", "verify")
    assert len(heads) >= KILLS


async def _load_until_killed(server: Running, readers: Sequence[Reader], seed: int, after_s: float) -> Load:
    load = Load(server.url, readers, seed)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(1_000_000))
        group.create_task(load.watch())
        await _until(lambda: bool(load.answers and load.heads))  # however long that takes here
        await asyncio.sleep(after_s)
        await asyncio.to_thread(server.kill)
    return load


def _check(site: Site, server: Running, answers: Sequence[Got], heads: Sequence[bytes]) -> None:
    """By HTTP and public keys: the log continues all heads and holds every answer. With the keys of the
    gateway: what it holds of each is that answer."""
    key = LogKey.read(site.vkey.read_text())
    placed = [(_index(got), unb64url(got.receipt.split(";")[2]), got) for got in answers]
    with httpx.Client(trust_env=False, timeout=60) as client:
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
    with site.served() as server:
        await Load(server.url, readers, 5).run(200)
        await asyncio.sleep(1.5)  # a head is published, and the file has taken up what was before
        await _load_until_killed(server, readers, 6, 0.3)
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
            outcomes.add(next(text for text in REFUSALS if refused.text.startswith(text)))
    assert len(outcomes) > 1


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
    assert "shorter than the head seen before" in site.command("ledger", "verify", status=1)

    # With the keys restored too, this machine knows no better; whoever kept a head does.
    shutil.copy(snapshot.folder / "keys/checkpoint", site.folder / "keys/checkpoint")
    (site.folder / "kept").write_text(kept)
    site.command("ledger", "verify")
    said = site.command("ledger", "verify", "--saved-head", str(site.folder / "kept"), status=1)
    assert "shorter than the head seen before" in said


async def test_a_second_server_on_one_ledger_is_refused(site: Site, readers: list[Reader]) -> None:
    with site.served() as first:
        refused = site.start()
        assert isinstance(refused, Failed)
        assert refused.status == 2
        assert "Another server writes the ledger" in refused.log
        await Load(first.url, readers, 9).run(20)
        first.kill()
        with site.served() as second:
            load = Load(second.url, readers, 9)
            await load.run(20)
            assert not mixed_up(load.answers, PATIENTS)


async def test_workers_are_replaced_and_end_with_the_one_that_writes(
    site: Site, readers: list[Reader]
) -> None:
    with site.served(workers=2) as server:
        load = Load(server.url, readers, 10)
        before = server.children()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        await load.run(200)  # some of it on connections that the dead worker had
        await _until(lambda: len(server.children()) == 2)
        again = Load(server.url, readers, 11)
        await again.run(100)
        assert len(again.answers) == 100
        assert not mixed_up(load.answers + again.answers, PATIENTS)
        workers = server.children()
        server.kill()
        await _until(lambda: not any(Path(f"/proc/{worker}/cwd").exists() for worker in workers))
    with site.served() as server:
        _check(site, server, load.answers + again.answers, [])


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to pass")


async def _answers_of_a_killed_server(site: Site, readers: Sequence[Reader]) -> list[Got]:
    with site.served() as server:
        load = await _load_until_killed(server, readers, 7, 1.5)
    assert load.answers
    return load.answers


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
