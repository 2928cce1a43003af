"""One suite over both ways to hold a ledger: as its writer, and through the writer's socket."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from gateway.core.canon import b64url
from gateway.core.tlog.checkpoint import open_checkpoint
from gateway.core.tlog.tiles import TilePath
from gateway.errors import Gone, LedgerUnavailable, NotFound, VerificationFailed
from gateway.ledger import publisher
from gateway.ledger.durable import replace
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.ledger.reading import Receipt
from gateway.ledger.remote import RemoteLedger
from gateway.ledger.signing import verify_ed25519
from gateway.ledger.store import EntryRefused
from gateway.ledger.verify import verify_receipt
from tests.ledger.support import ORIGIN, House, check_everything, clock_ms

AnyLedger = Ledger | RemoteLedger


async def test_every_step_leaves_a_ledger_that_verifies(house: House, ledger: AnyLedger) -> None:
    acknowledged: list[Receipt] = []
    dice = random.Random(7)
    for size in (1, 2, 1, 250, 3, 255, dice.randrange(1, 40)):
        acknowledged += await ledger.append([house.read(f"pat-{i % 5}") for i in range(size)])
        assert check_everything(house, acknowledged).size == len(acknowledged) == ledger.head().size


async def test_a_batch_stays_together_and_in_order(house: House, ledger: AnyLedger) -> None:
    batches = await asyncio.gather(*(ledger.append([house.read() for _ in range(4)]) for _ in range(30)))
    for receipts in batches:
        assert [r.index - receipts[0].index for r in receipts] == [0, 1, 2, 3]
    check_everything(house, [receipt for receipts in batches for receipt in receipts])


async def test_256_waiters_all_get_their_own_index(house: House, ledger: AnyLedger) -> None:
    entries = [house.read(f"pat-{i % 9}") for i in range(256)]
    receipts = [(await done)[0] for done in [asyncio.ensure_future(ledger.append([e])) for e in entries]]
    assert sorted(r.index for r in receipts) == list(range(256))
    assert [r.leaf_hash for r in receipts] == [e.leaf_hash for e in entries]
    check_everything(house, receipts)


async def test_the_same_entry_again_keeps_its_index(house: House, ledger: AnyLedger) -> None:
    entry, other = house.read(), house.read()
    first = await ledger.append([entry])
    again = await asyncio.gather(
        ledger.append([entry]), ledger.append([entry, other]), ledger.append([other])
    )
    assert [r.index for receipts in again for r in receipts] == [0, 0, 1, 1]
    assert again[0] == first
    assert ledger.head().size == 2


async def test_a_nonce_for_another_entry_is_refused_and_its_batch_with_it(
    house: House, ledger: AnyLedger
) -> None:
    entry = house.read()
    await ledger.append([entry])
    forged = house.read()
    object.__setattr__(forged, "nonce", entry.nonce)
    object.__setattr__(forged, "at_s", entry.at_s)
    with pytest.raises(EntryRefused, match="nonce"):
        await ledger.append([house.read(), forged])
    assert ledger.head().size == 1


@pytest.mark.parametrize(("late_s", "accepted"), [(4, True), (-4, True), (7, False), (-7, False)])
async def test_an_entry_is_dated_about_now(
    house: House, ledger: AnyLedger, late_s: int, accepted: bool
) -> None:
    entry = house.read(late_s=late_s)
    if accepted:
        await ledger.append([entry])
    else:
        with pytest.raises(EntryRefused, match="clock"):
            await ledger.append([entry])
    assert ledger.head().size == int(accepted)


async def test_a_refused_batch_does_not_harm_its_neighbours(house: House, ledger: AnyLedger) -> None:
    good = [ledger.append([house.read()]) for _ in range(5)]
    bad = ledger.append([house.read(), house.read(late_s=60)])
    *receipts, refused = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(refused, EntryRefused)
    check_everything(house, [r for done in receipts if isinstance(done, list) for r in done])
    assert ledger.head().size == 5


async def test_the_mark_moves_with_consents_only(house: House, ledger: AnyLedger) -> None:
    marks = [ledger.consent_mark()]
    for kind in (
        "read.permit",
        "consent.grant",
        "read.deny",
        "token.issue",
        "token.revoke",
        "consent.revoke",
    ):
        await ledger.append([house.recorder.seal(kind, {}, "pat-a", clock_ms())])
        marks.append(ledger.consent_mark())
    assert marks == [0, 0, 2, 2, 2, 5, 6]


async def test_state_entries_are_read_back_in_order(house: House, ledger: AnyLedger) -> None:
    kinds = ["consent.grant", "read.permit", "consent.revoke", "token.revoke", "read.permit", "consent.grant"]
    for kind in kinds:
        await ledger.append([house.read(kind=kind)])
    consents = frozenset({"consent.grant", "consent.revoke"})
    assert [(e.index, e.kind) for e in ledger.entries_of(consents, -1)] == [
        (0, "consent.grant"), (2, "consent.revoke"), (5, "consent.grant"),
    ]  # fmt: skip
    assert [e.index for e in ledger.entries_of(consents, 2)] == [5]
    assert [e.index for e in ledger.entries_of(frozenset({"read.permit"}), -1)] == [1, 4]


async def test_tiles_of_every_width_are_prefixes_and_none_goes_beyond(
    house: House, ledger: AnyLedger
) -> None:
    await ledger.append([house.read() for _ in range(260)])
    full, edge = ledger.tile("tile/0/000"), ledger.tile("tile/0/001.p/4")
    assert full is not None
    assert edge is not None
    assert (len(full), len(edge)) == (8192, 128)
    assert ledger.tile("tile/0/000.p/17") == full[: 17 * 32]
    assert ledger.tile("tile/1/000.p/1") is not None
    bundle, part = ledger.tile("tile/entries/001.p/4"), ledger.tile("tile/entries/001.p/3")
    assert bundle is not None
    assert part is not None
    assert bundle.startswith(part)
    for beyond in ("tile/0/001", "tile/0/001.p/5", "tile/1/000", "tile/entries/001.p/5", "tile/2/000.p/1"):
        assert ledger.tile(beyond) is None
    for malformed in ("tile/0/1", "tile/0/000.p/0", "tile/8/0/000", "../checkpoint", ""):
        assert ledger.tile(malformed) is None
    with pytest.raises(ValueError):
        TilePath.parse("tile/0/1")


async def test_a_proof_shows_that_an_entry_is_under_the_signed_head(house: House, ledger: AnyLedger) -> None:
    receipts = await ledger.append([house.read() for _ in range(300)])
    proof = await ledger.proof(270)
    checkpoint = verify_receipt(receipts[270], proof, house.public)
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 300)
    assert Receipt.parse(str(receipts[270])) == receipts[270]
    with pytest.raises(VerificationFailed):
        verify_receipt(receipts[271], proof, house.public)
    with pytest.raises(VerificationFailed):
        verify_receipt(Receipt(ORIGIN, 270, receipts[271].leaf_hash), proof, house.public)
    for missing in (300, -1):
        with pytest.raises(NotFound):
            await ledger.proof(missing)


async def test_the_published_head_is_signed_and_kept_outside(house: House, ledger: AnyLedger) -> None:
    await ledger.append([house.read()])
    await ledger.proof(0)
    checkpoint, _ = open_checkpoint(ledger.checkpoint(), [house.keys.log.verifier], verify_ed25519)
    assert checkpoint.size == 1
    assert house.keys.checkpoint_path.read_bytes() == ledger.checkpoint()


async def test_nobody_sees_a_head_before_it_is_kept_outside(
    house: House, ledger: AnyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_early: list[bytes] = []

    def looking(path: Path, data: bytes, mode: int) -> None:
        seen_early.append(ledger.checkpoint())
        replace(path, data, mode)

    before = ledger.checkpoint()
    monkeypatch.setattr(publisher, "replace", looking)
    await ledger.append([house.read()])
    await ledger.proof(0)
    assert seen_early[0] == before != ledger.checkpoint()


async def test_facts_are_read_back_by_who_holds_the_keys(house: House, ledger: AnyLedger) -> None:
    lines = "Observation/o1/1 00\n"
    sealed = house.recorder.seal(
        "read.permit", {"pat": "Patient/pat-a", "st": 200}, "pat-a", clock_ms(), {"rids": lines}
    )
    (receipt,) = await ledger.append([sealed])
    opened = house.reader(ledger).facts(receipt.index)
    assert opened.facts["pat"] == "Patient/pat-a"
    assert opened.attachments == {"rids": lines}
    assert opened.leaf_hash == receipt.leaf_hash
    assert "pat-a" not in repr(opened)
    with pytest.raises(NotFound):
        house.reader(ledger).facts(1)


async def test_a_destroyed_key_makes_facts_unreadable_and_changes_no_proof(
    house: House, ledger: AnyLedger
) -> None:
    receipts = await ledger.append([house.read("pat-a"), house.read("pat-b")])
    key_id = house.vault.destroy("pat-a")
    assert key_id is not None
    for named, error in ((bytes(16), VerificationFailed), (key_id, Gone)):
        with pytest.raises(VerificationFailed, match="entry 0: its sidecar names a key that is unknown"):
            house.reader(ledger).facts(receipts[0].index)
        erasure = house.recorder.seal("erase", {"kid": b64url(named)}, None, clock_ms())
        receipts += await ledger.append([erasure])
        with pytest.raises(error):
            house.reader(ledger).facts(receipts[0].index)
    assert house.reader(ledger).facts(receipts[1].index).facts["cli"] == "app-1"
    check_everything(house, receipts)
    verify_receipt(receipts[0], await ledger.proof(receipts[0].index), house.public)


async def test_a_closed_ledger_records_nothing(house: House) -> None:
    ledger = open_ledger(house.path, house.keys, clock_ms)
    receipts = await ledger.append([house.read()])
    ledger.close()
    with pytest.raises(LedgerUnavailable):
        await ledger.append([house.read()])
    assert check_everything(house, receipts).published == 1
