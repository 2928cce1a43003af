from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import pytest

from gateway.core.tlog.audit import Audit, audit_log, entries_in_bundles, signature_check
from gateway.core.tlog.checkpoint import Checkpoint
from gateway.core.tlog.entry import Entry
from gateway.core.tlog.tiles import TilePath, encode_bundle
from gateway.core.tlog.tree import EMPTY_ROOT, Frontier, leaf_hash
from gateway.errors import VerificationFailed
from tests.core.tlog.support import GATEWAY_KEY, LOG_KEY, MemoryLog, make_entry, verify

SIZE = 600
ORIGIN = "example.com/consent-ledger"
ENTRIES = [make_entry(i, "read.deny" if i % 5 == 0 else "read.permit").leaf for i in range(SIZE + 50)]


def head_of(entries: Sequence[bytes]) -> Checkpoint:
    frontier = Frontier()
    for entry in entries:
        frontier.append(leaf_hash(entry))
    return Checkpoint(ORIGIN, frontier.size, frontier.root())


@lru_cache(maxsize=1)
def log() -> MemoryLog:
    return MemoryLog(ENTRIES)


HEAD = head_of(ENTRIES[:SIZE])


@dataclass
class Served:
    """A log as it is served: bodies by path, any of which a test may replace or take away."""

    replaced: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def read(self, path: TilePath) -> bytes:
        if str(path) in self.missing:
            raise LookupError(path)
        return self.replaced.get(str(path), bytes)(log().body(path))

    def audit(self, head: Checkpoint = HEAD, saved: Checkpoint | None = None) -> Audit:
        return audit_log(head, entries_in_bundles(head.size, self.read), self.read, saved=saved)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def swap_entries(a: int, b: int) -> list[bytes]:
    entries = list(ENTRIES)
    entries[a], entries[b] = entries[b], entries[a]
    return entries


def test_a_sound_log_passes() -> None:
    assert Served().audit() == Audit(HEAD, {"read.deny": 120, "read.permit": 480})


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513, 650])
def test_a_sound_log_passes_at_every_size(size: int) -> None:
    head = head_of(ENTRIES[:size])
    assert sum(Served().audit(head).kinds.values()) == size


def test_a_log_with_three_levels_of_tiles_passes_and_its_upper_tiles_count() -> None:
    size = 65536 + 300
    entries = [ENTRIES[i % SIZE] for i in range(size)]
    large = MemoryLog(entries)
    head = head_of(entries)
    assert audit_log(head, entries, large.body).checkpoint == head
    for path in ("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"):

        def changed(asked: TilePath, path: str = path) -> bytes:
            return flip(5)(large.body(asked)) if str(asked) == path else large.body(asked)

        with pytest.raises(VerificationFailed, match=path):
            audit_log(head, entries, changed)


FINDINGS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "flipped byte in an entry's signature": ("tile/entries/001", flip(2 + 263 * 3 + 130), "entry 259: "),
    "flipped byte in a bundle's length": ("tile/entries/000", flip(1), "tile/entries/000: not whole entries"),
    "flipped byte in the structure of an entry": ("tile/entries/000", flip(2), "entry 0: not an entry"),
    "trailing byte in a bundle": ("tile/entries/000", lambda b: b + b"\0", "tile/entries/000: not whole"),
    "trailing entry in a partial bundle": (
        "tile/entries/002.p/88",
        lambda b: b + encode_bundle([ENTRIES[0]]),
        "tile/entries/002.p/88: 88 entries belong there, not 89",
    ),
    "cut bundle": ("tile/entries/002.p/88", lambda b: b[:-1], "tile/entries/002.p/88: not whole"),
    "bundle short of an entry": (
        "tile/entries/001",
        lambda b: b[: -len(ENTRIES[511]) - 2],
        "tile/entries/001: 256 entries belong there, not 255",
    ),
    "empty bundle": ("tile/entries/001", lambda b: b"", "tile/entries/001: 256 entries belong there, not 0"),
    "flipped byte in a full tile": ("tile/0/001", flip(32 * 7 + 31), "entry 263: its hash is not the one in"),
    "flipped byte in a partial tile": ("tile/0/002.p/88", flip(0), "entry 512: its hash is not the one in"),
    "flipped byte in an upper tile": ("tile/1/000.p/2", flip(33), "tile/1/000.p/2: hash 1 is not the one"),
    "trailing hash in a tile": ("tile/0/000", lambda b: b + bytes(32), "tile/0/000: 8192 bytes belong there"),
    "trailing byte in a partial tile": (
        "tile/0/002.p/88",
        lambda b: b + b"\0",
        "tile/0/002.p/88: 2816 bytes belong there, not 2817",
    ),
    "cut tile": ("tile/1/000.p/2", lambda b: b[:-1], "tile/1/000.p/2: 64 bytes belong there, not 63"),
}


@pytest.mark.parametrize(("path", "change", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_a_finding_is_named_by_its_place(path: str, change: Callable[[bytes], bytes], finding: str) -> None:
    with pytest.raises(VerificationFailed) as found:
        Served(replaced={path: change}).audit()
    assert found.value.text.startswith(finding)


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"])
def test_a_missing_body_is_named(path: str) -> None:
    with pytest.raises(VerificationFailed) as found:
        Served(missing={path}).audit()
    assert found.value.text == f"{path}: missing"


@pytest.mark.parametrize(("a", "b"), [(3, 4), (255, 256), (0, 599)])
def test_swapped_entries_are_found(a: int, b: int) -> None:
    with pytest.raises(VerificationFailed, match=f"entry {a}: its hash is not the one"):
        audit_log(HEAD, swap_entries(a, b), log().body)


@pytest.mark.parametrize(("a", "b"), [(3, 4), (255, 256), (0, 599)])
def test_entries_swapped_with_their_tiles_do_not_lead_to_the_root(a: int, b: int) -> None:
    entries = swap_entries(a, b)
    with pytest.raises(VerificationFailed, match="checkpoint: the entries do not lead to its root"):
        audit_log(HEAD, entries, MemoryLog(entries).body)


@pytest.mark.parametrize("cut", [1, 88, 89, 600])
def test_missing_entries_are_found(cut: int) -> None:
    with pytest.raises(VerificationFailed, match=f"entry {SIZE - cut}: missing"):
        audit_log(HEAD, ENTRIES[: SIZE - cut], log().body)


def test_entries_beyond_the_head_are_not_touched() -> None:
    remaining = iter(ENTRIES)
    audit_log(HEAD, remaining, log().body)
    assert next(remaining) == ENTRIES[SIZE]


def test_a_wrong_root_is_found() -> None:
    for size, root in ((SIZE, bytes(32)), (SIZE, head_of(ENTRIES[: SIZE - 1]).root), (0, HEAD.root)):
        with pytest.raises(VerificationFailed, match="checkpoint: the entries do not lead to its root"):
            Served().audit(Checkpoint(ORIGIN, size, root))


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 599, 600])
def test_a_continuation_of_the_saved_head_passes(size: int) -> None:
    saved = head_of(ENTRIES[:size])
    assert Served().audit(saved=saved).checkpoint == HEAD
    with pytest.raises(VerificationFailed, match="no continuation"):
        Served().audit(saved=Checkpoint(ORIGIN, size, bytes(32)))


def test_a_tail_cut_below_the_saved_head_is_found() -> None:
    saved = head_of(ENTRIES[: SIZE + 1])
    with pytest.raises(VerificationFailed, match="shorter than the head seen before"):
        Served().audit(saved=saved)


def test_a_saved_head_of_another_log_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="another log"):
        Served().audit(saved=Checkpoint("example.com/other", 0, EMPTY_ROOT))


def test_a_rewritten_history_of_the_same_length_is_no_continuation() -> None:
    entries = swap_entries(3, 4)
    with pytest.raises(VerificationFailed, match="no continuation"):
        audit_log(head_of(entries[:SIZE]), entries, MemoryLog(entries).body, saved=head_of(ENTRIES[:300]))


def test_signatures_are_checked_on_request() -> None:
    entries = list(ENTRIES)
    entries[300] = replace(Entry.parse(ENTRIES[300]), signature=bytes(64)).encode()
    forged = head_of(entries[:SIZE])
    body = MemoryLog(entries).body
    assert audit_log(forged, entries, body).checkpoint == forged
    with pytest.raises(VerificationFailed, match="entry 300: the gateway's signature does not verify"):
        audit_log(forged, entries, body, check_entries=signature_check([GATEWAY_KEY], verify))
    check = signature_check([LOG_KEY, GATEWAY_KEY], verify)
    assert audit_log(HEAD, ENTRIES, log().body, check_entries=check).checkpoint == HEAD


def test_an_entry_by_an_unknown_gateway_is_found() -> None:
    with pytest.raises(VerificationFailed, match="entry 0: signed by an unknown gateway key"):
        audit_log(HEAD, ENTRIES, log().body, check_entries=signature_check([LOG_KEY], verify))


def test_checks_and_progress_see_every_entry_once() -> None:
    seen: Counter[int] = Counter()
    progress: list[int] = []

    def check(first: int, entries: Sequence[Entry]) -> None:
        assert [entry.encode() for entry in entries] == ENTRIES[first : first + len(entries)]
        seen.update(range(first, first + len(entries)))

    audit_log(HEAD, ENTRIES, log().body, check_entries=check, on_progress=progress.append)
    assert seen == Counter(range(SIZE))
    assert progress == [256, 512, 600]
