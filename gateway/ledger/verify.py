"""Verify a whole ledger: the database of this machine, or the copy that any server shows.

`verify_log` takes nothing on trust but public keys: it derives tiles and root anew from the entries
(`core.tlog.audit`). `verify_store` adds what only the database has: its pages, the columns beside each
leaf, the head row, every checkpoint and, with the keys, every sidecar (`integrity`, `recorder`). A finding
is VerificationFailed and names the place, the first there is.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.core.tlog.audit import CheckEntries, audit_log, entries_in_bundles, signature_check
from gateway.core.tlog.checkpoint import Checkpoint, open_checkpoint
from gateway.core.tlog.entry import Entry
from gateway.core.tlog.note import VerifierKey
from gateway.core.tlog.receipt import TlogProof
from gateway.core.tlog.tiles import TILE_WIDTH, TilePath, tile_at
from gateway.core.tlog.tree import HASH_BYTES
from gateway.errors import VerificationFailed
from gateway.ledger.edge import RightEdge
from gateway.ledger.integrity import check_checkpoints, check_pages, check_rows, check_schema
from gateway.ledger.reading import Receipt, read_body
from gateway.ledger.recorder import LedgerReader
from gateway.ledger.signing import verify_ed25519
from gateway.ledger.store import StoreReader

ROWS_AHEAD = 8
"""How many rows of entries for each processor wait for their signatures to be checked."""

Progress = Callable[[int, int], None]
"""(entries verified, entries in all)."""


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys a log is verified with. Without gateway keys the entries' signatures are not checked."""

    log: VerifierKey
    gateways: tuple[VerifierKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """What holds: all entries up to `size` lead to `root`; `published` of them are under the signed head."""

    origin: str
    size: int
    root: bytes
    published: int
    kinds: Mapping[str, int]
    signatures_checked: bool
    sidecars_checked: bool = False


class LogSource(Protocol):
    """Where a log is read from. `tile` raises LookupError if there is none."""

    def checkpoint(self) -> bytes: ...

    def tile(self, path: TilePath) -> bytes: ...

    def entries(self, size: int) -> Iterator[bytes]: ...


class StoreSource:
    """The log in a store of this machine."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def checkpoint(self) -> bytes:
        note = self._reader.checkpoint()
        if note is None:
            raise VerificationFailed("checkpoint: the ledger has none")
        return note

    def tile(self, path: TilePath) -> bytes:
        body = read_body(self._reader, path)
        if body is None:
            raise LookupError(str(path))
        return body

    def entries(self, size: int) -> Iterator[bytes]:
        for start in range(0, size, TILE_WIDTH):
            end = min(start + TILE_WIDTH, size)
            leaves = self._reader.leaves(start, end)
            yield from leaves
            if len(leaves) < end - start:
                return


class ServedSource:
    """The log that a server shows below a URL. `get` fetches a path below it; None means 404."""

    def __init__(self, get: Callable[[str], bytes | None]) -> None:
        self._get = get

    def checkpoint(self) -> bytes:
        note = self._get("checkpoint")
        if note is None:
            raise VerificationFailed("checkpoint: the server has none")
        return note

    def tile(self, path: TilePath) -> bytes:
        body = self._get(str(path))
        if body is None:
            raise LookupError(str(path))
        return body

    def entries(self, size: int) -> Iterator[bytes]:
        return entries_in_bundles(size, self.tile)


def verify_log(
    source: LogSource,
    keys: PublicKeys,
    *,
    saved_heads: Sequence[bytes] = (),
    receipt: Receipt | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Verify the log under its published checkpoint; `saved_heads` were seen earlier (signed notes)."""
    published = _open(source.checkpoint(), keys)
    return _verify(source, keys, published, published, saved_heads, receipt, progress, None)


def verify_store(
    reader: StoreReader,
    keys: PublicKeys,
    *,
    saved_heads: Sequence[bytes] = (),
    receipt: Receipt | None = None,
    progress: Progress | None = None,
    opener: LedgerReader | None = None,
) -> Verified:
    """Verify a database up to its committed head, of which the published checkpoint is a beginning.

    Sidecars are opened if `opener` has the keys; else it is only seen that they are there.
    """
    check_pages(reader)
    check_schema(reader)
    source = StoreSource(reader)
    published = _open(source.checkpoint(), keys)
    head = reader.head()  # after the checkpoint: a writer may be at work, and publishes what it has committed
    if published.size > head.size:
        raise VerificationFailed(
            f"checkpoint: {published.size} entries were published, the head says {head.size}"
        )
    target = Checkpoint(published.origin, head.size, head.root)
    check_beside = _all_of(_columns(reader), None if opener is None else opener.check)
    verified = _verify(source, keys, target, published, saved_heads, receipt, progress, check_beside)
    check_rows(reader)
    if RightEdge.from_tiles(head.size, reader.tile).hashes != head.hashes:
        raise VerificationFailed("head: its frontier does not follow from the entries")
    check_checkpoints(reader, keys.log, head.size)
    return replace(verified, sidecars_checked=opener is not None)


def verify_receipt(receipt: Receipt, proof: bytes, keys: PublicKeys) -> Checkpoint:
    """The signed head that covers the entry of `receipt`, by its tlog-proof alone; nothing else is read."""
    try:
        parsed = TlogProof.parse(proof)
    except ValueError as malformed:
        raise VerificationFailed(f"receipt: {malformed}") from malformed
    if parsed.index != receipt.index:
        raise VerificationFailed("receipt: the proof is for another entry")
    checkpoint, _ = parsed.verify(receipt.leaf_hash, [keys.log], verify_ed25519)
    if checkpoint.origin != receipt.origin:
        raise VerificationFailed("receipt: the proof is of another log")
    return checkpoint


def _verify(
    source: LogSource,
    keys: PublicKeys,
    target: Checkpoint,
    published: Checkpoint,
    saved_heads: Sequence[bytes],
    receipt: Receipt | None,
    progress: Progress | None,
    check_columns: CheckEntries | None,
) -> Verified:
    with _signatures(keys.gateways) as check_signatures:
        audit = audit_log(
            target,
            source.entries(target.size),
            source.tile,
            saved=published,
            check_entries=_all_of(check_columns, check_signatures),
            on_progress=None if progress is None else lambda done: progress(done, target.size),
        )
    # From here the tiles are known to be those of the entries.
    for saved in saved_heads:
        _check_beginning(source, target, _open(saved, keys))
    if receipt is not None:
        _check_receipt(source, target, receipt)
    return Verified(target.origin, target.size, target.root, published.size, audit.kinds, bool(keys.gateways))


def _open(note: bytes, keys: PublicKeys) -> Checkpoint:
    return open_checkpoint(note, [keys.log], verify_ed25519)[0]


@contextmanager
def _signatures(gateways: Sequence[VerifierKey]) -> Iterator[CheckEntries | None]:
    """A check of signatures on all processors, which is behind until the end of the context.

    Threads are enough: the interpreter is free while a signature is checked, and little else is done.
    """
    if not gateways:
        yield None
        return
    check_row = signature_check(gateways, verify_ed25519)
    rows: deque[Future[None]] = deque()
    processors = os.cpu_count() or 1
    pool = ThreadPoolExecutor(processors, thread_name_prefix="ledger-verify")

    def wait_for(left: int) -> None:
        while len(rows) > left:
            rows[0].result()  # a row with a finding stays the first, whatever comes up after it
            rows.popleft()

    def check(first: int, entries: Sequence[Entry]) -> None:
        rows.append(pool.submit(check_row, first, entries))
        wait_for(ROWS_AHEAD * processors)

    try:
        yield check
    finally:
        try:
            wait_for(0)  # also when something was found further on: the first finding is the one to name
        finally:
            pool.shutdown(cancel_futures=True)


def _all_of(*checks: CheckEntries | None) -> CheckEntries:
    def check(first: int, entries: Sequence[Entry]) -> None:
        for each in checks:
            if each is not None:
                each(first, entries)

    return check


def _columns(reader: StoreReader) -> CheckEntries:
    def check(first: int, entries: Sequence[Entry]) -> None:
        expected = [(entry.kind, entry.at_s, entry.nonce, True) for entry in entries]
        found = reader.columns(first, first + len(entries))
        for index, (a, b) in enumerate(zip(expected, found, strict=True), first):
            if a != b:
                what = "its sidecar is missing" if a[:3] == b[:3] else "its columns are not those of its leaf"
                raise VerificationFailed(f"entry {index}: {what}")

    return check


def _check_beginning(source: LogSource, target: Checkpoint, saved: Checkpoint) -> None:
    if saved.size > target.size:
        raise VerificationFailed("checkpoint: the log is shorter than the head seen before")
    edge = RightEdge.from_tiles(saved.size, lambda level, n: source.tile(tile_at(target.size, level, n)))
    if edge.root() != saved.root:
        raise VerificationFailed("checkpoint: the log is no continuation of the head seen before")


def _check_receipt(source: LogSource, target: Checkpoint, receipt: Receipt) -> None:
    if receipt.origin != target.origin:
        raise VerificationFailed("receipt: it is of another log")
    if receipt.index >= target.size:
        raise VerificationFailed(f"entry {receipt.index}: the receipt's entry is not in the log")
    number, place = divmod(receipt.index, TILE_WIDTH)
    row = source.tile(tile_at(target.size, 0, number))
    if row[place * HASH_BYTES : (place + 1) * HASH_BYTES] != receipt.leaf_hash:
        raise VerificationFailed(f"entry {receipt.index}: it is not the one the receipt was given for")
