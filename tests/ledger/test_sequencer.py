"""What the sequencer does when the store fails, before and after the commit point."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import sequencer as sequencer_module
from gateway.ledger.publisher import Published, Publisher
from gateway.ledger.sequencer import WORTH_GATHERING, Sequencer
from gateway.ledger.signing import SigningKey
from gateway.ledger.sqlite import SqliteWriter
from gateway.ledger.store import Batch, Committed, SealedEntry
from tests.ledger.support import clock_ms, opaque


class Ended(BaseException):
    """What ends a thread: nothing that the sequencer could have foreseen."""


class Faulty(SqliteWriter):
    """A store that fails on demand, before the commit or after it, and counts its commits."""

    fail = ""
    groups: list[int]

    def append(self, batches: Sequence[Batch], now_s: int) -> Committed:
        self.groups.append(len(batches))
        if self.fail == "before":
            raise OSError("disk full")
        if self.fail == "end of the thread":
            raise Ended
        committed = super().append(batches, now_s)
        if self.fail == "after":
            raise OSError("connection lost")
        return committed

    def publish(self, size: int, note: bytes) -> None:
        if self.fail == "publish":
            raise OSError("disk full")
        if self.fail == "end of the thread at publishing":
            raise Ended
        super().publish(size, note)


@pytest.fixture
def under_way() -> list[int]:
    """What `running` is told to be under way: the sum."""
    return []


@pytest.fixture
async def running(tmp_path: Path, under_way: list[int]) -> AsyncIterator[tuple[Sequencer, Faulty]]:
    store = Faulty(tmp_path / "ledger.db", create=True)
    store.groups = []
    publisher = Publisher(
        SigningKey.generate("a.example/log"), store, tmp_path / "outside", Published(0, b"")
    )
    sequencer = Sequencer(store, publisher, clock_ms, lambda: sum(under_way))
    sequencer.start()
    yield sequencer, store
    sequencer.close()
    store.close()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_failed_commit_fails_every_waiter_and_a_retry_settles_it(
    running: tuple[Sequencer, Faulty], moment: str
) -> None:
    sequencer, store = running
    await sequencer.submit([opaque()])
    entries = [opaque(kind="consent.revoke") for _ in range(20)]
    store.fail = moment
    failed = await asyncio.gather(*(sequencer.submit([e]) for e in entries), return_exceptions=True)
    assert {type(outcome) for outcome in failed} == {LedgerUnavailable}
    assert sequencer.head.mark == (21 if moment == "after" else 0)  # decisions see what may be durable
    store.fail = ""
    indexes = [(await sequencer.submit([entry]))[0] for entry in entries]
    assert sorted(indexes) == list(range(1, 21))
    assert sequencer.head.size == 21


async def test_an_unforeseen_error_is_not_recorded_either(
    running: tuple[Sequencer, Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    sequencer, store = running
    with monkeypatch.context() as patch:
        patch.setattr(store, "_rows", None)
        with pytest.raises(LedgerUnavailable) as error:
            await sequencer.submit([opaque()])
    assert isinstance(error.value.__cause__, TypeError)
    assert await sequencer.submit([opaque()]) == [0]


async def test_a_head_that_cannot_be_published_keeps_entries_coming(
    running: tuple[Sequencer, Faulty],
) -> None:
    sequencer, store = running
    store.fail = "publish"
    assert await sequencer.submit([opaque()]) == [0]
    await asyncio.sleep(0.05)
    assert sequencer.publisher.last.size == 0
    store.fail = ""
    assert await sequencer.submit([opaque()]) == [1]
    for _ in range(1000):
        if sequencer.publisher.last.size == 2:
            break
        await asyncio.sleep(0.02)
    assert sequencer.publisher.last.size == 2


async def test_heads_are_published_at_most_so_often(
    running: tuple[Sequencer, Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "PUBLISH_EVERY_S", 60.0)
    sequencer, _ = running
    for _ in range(5):
        await sequencer.submit([opaque()])
    for _ in range(500):
        if sequencer.publisher.last.size:
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)
    assert sequencer.publisher.last.size == 1


async def test_groups_keep_to_their_limits(
    running: tuple[Sequencer, Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "MAX_GROUP_ENTRIES", 10)
    sequencer, store = running
    batches: list[list[SealedEntry]] = [[opaque() for _ in range(size)] for size in (4, 4, 4, 25, 3, 7, 1)]
    done = await asyncio.gather(*(sequencer.submit(batch) for batch in batches))
    assert sorted(index for indexes in done for index in indexes) == list(range(48))
    assert len(store.groups) >= 4
    assert max(store.groups) <= 3


ENDLESS_S = 60.0


async def submitted_one_by_one(sequencer: Sequencer, count: int) -> list[list[int]]:
    """As requests come: each on a later turn of the loop."""
    futures = []
    for _ in range(count):
        futures.append(sequencer.submit([opaque()]))
        await asyncio.sleep(0.005)
    async with asyncio.timeout(30):
        return await asyncio.gather(*futures)


@pytest.mark.parametrize("count", [6, 20])
async def test_those_under_way_share_a_commit_which_waits_for_no_more(
    running: tuple[Sequencer, Faulty], under_way: list[int], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(sequencer_module, "GATHER_S", ENDLESS_S)
    sequencer, store = running
    under_way.append(count)
    await submitted_one_by_one(sequencer, count)
    assert store.groups == [count]


@pytest.mark.parametrize("count", [0, 1, WORTH_GATHERING])
async def test_few_are_not_waited_for(
    running: tuple[Sequencer, Faulty], under_way: list[int], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(sequencer_module, "GATHER_S", ENDLESS_S)
    sequencer, store = running
    under_way.append(count)
    async with asyncio.timeout(30):
        assert await sequencer.submit([opaque()]) == [0]
    assert store.groups == [1]


async def test_those_who_do_not_come_are_not_waited_for_long(
    running: tuple[Sequencer, Faulty], under_way: list[int]
) -> None:
    sequencer, store = running
    under_way.append(10**9)
    async with asyncio.timeout(30):
        assert [await sequencer.submit([opaque()]) for _ in range(3)] == [[0], [1], [2]]
    assert store.groups == [1, 1, 1]


async def test_closing_waits_for_nobody_under_way(
    running: tuple[Sequencer, Faulty], under_way: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "GATHER_S", ENDLESS_S)
    sequencer, _ = running
    under_way.append(100)
    future = sequencer.submit([opaque()])
    await asyncio.sleep(0.02)
    started_s = time.monotonic()
    sequencer.close()
    assert await future == [0]
    assert time.monotonic() - started_s < ENDLESS_S / 2


async def test_nobody_waits_for_a_thread_that_ended(
    running: tuple[Sequencer, Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    sequencer, _ = running
    await sequencer.submit([opaque()])
    sequencer.close()
    monkeypatch.setattr(sequencer, "_closing", False)  # as seen by a thread that looked a moment earlier
    with pytest.raises(LedgerUnavailable, match="closed"):
        await sequencer.submit([opaque()])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("moment", "recorded"), [("end of the thread", 0), ("end of the thread at publishing", 2)]
)
async def test_a_thread_that_dies_leaves_nobody_waiting(
    running: tuple[Sequencer, Faulty],
    under_way: list[int],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    recorded: int,
) -> None:
    """Neither those of the group at hand, nor the one that no longer fitted into it, nor those behind."""
    monkeypatch.setattr(sequencer_module, "MAX_GROUP_ENTRIES", 3)
    sequencer, store = running
    store.fail = moment
    monkeypatch.setattr(sequencer_module, "GATHER_S", ENDLESS_S)
    under_way.append(6)
    futures = [sequencer.submit([opaque(), opaque()]) for _ in range(6)]
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert sequencer.head.size == recorded
    assert outcomes.count([0, 1]) == recorded // 2
    assert {type(outcome) for outcome in outcomes if not isinstance(outcome, list)} == {LedgerUnavailable}
    async with asyncio.timeout(30):
        with pytest.raises(LedgerUnavailable, match="clos"):
            await sequencer.submit([opaque()])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_dies_while_it_gathers_leaves_nobody_waiting(
    running: tuple[Sequencer, Faulty], under_way: list[int]
) -> None:
    sequencer, _ = running
    under_way.append("many")  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        with pytest.raises(LedgerUnavailable):
            await sequencer.submit([opaque()])


async def test_what_is_no_batch_disturbs_only_who_sends_it(running: tuple[Sequencer, Faulty]) -> None:
    sequencer, _ = running
    with pytest.raises(AttributeError):
        sequencer.submit([b"leaf"])  # type: ignore[list-item]
    async with asyncio.timeout(30):
        assert await sequencer.submit([opaque()]) == [0]


async def test_a_waiter_that_gave_up_does_not_disturb_the_others(running: tuple[Sequencer, Faulty]) -> None:
    sequencer, _ = running
    gone, stays = sequencer.submit([opaque()]), sequencer.submit([opaque()])
    gone.cancel()
    assert len(await stays) == 1
    assert await sequencer.submit([opaque()]) == [2]


async def test_order_within_a_group_does_not_tell_who_came_first(running: tuple[Sequencer, Faulty]) -> None:
    sequencer, _ = running
    done = await asyncio.gather(*(sequencer.submit([opaque()]) for _ in range(64)))
    assert [indexes[0] for indexes in done] != list(range(64))


def test_waiters_of_several_loops_are_answered_each_on_its_own(tmp_path: Path) -> None:
    store = Faulty(tmp_path / "ledger.db", create=True)
    store.groups = []
    publisher = Publisher(
        SigningKey.generate("a.example/log"), store, tmp_path / "outside", Published(0, b"")
    )
    sequencer = Sequencer(store, publisher, clock_ms)
    sequencer.start()

    async def client() -> list[int]:
        return [i for _ in range(5) for i in await sequencer.submit([opaque()])]

    first, second = asyncio.run(client()), asyncio.run(client())
    assert first + second == list(range(10))
    sequencer.close()
    store.close()


async def test_a_nonce_is_remembered_across_a_restart(tmp_path: Path) -> None:
    entry = opaque()
    for _ in range(2):
        store = SqliteWriter(tmp_path / "ledger.db", create=not (tmp_path / "ledger.db").exists())
        assert store.append([[entry]], clock_ms() // 1000).outcomes == [[0]]
        store.close()


async def test_nonces_are_forgotten_only_when_the_clock_check_refuses_them(tmp_path: Path) -> None:
    store = SqliteWriter(tmp_path / "ledger.db", create=True)
    now_s = clock_ms() // 1000
    entry = opaque(now_s)
    for later_s, known in ((0, True), (6, True), (30, True), (31, False), (4000, False)):
        (outcome,) = store.append([[entry]], now_s + later_s).outcomes
        assert (outcome == [0]) is known
    assert store.head().size == 1
    store.close()
