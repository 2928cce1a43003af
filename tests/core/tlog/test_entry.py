from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canon import Json, canonical, parse_canonical
from gateway.core.tlog.disclosure import KINDS, disclose, patient_tag
from gateway.core.tlog.entry import (
    MAX_SECONDS,
    BuiltEntry,
    Entry,
    build_entry,
    open_entry,
    verify_entry_signature,
)
from gateway.core.tlog.tree import leaf_hash
from gateway.errors import VerificationFailed
from tests.core.tlog.support import GATEWAY_KEY, LOG_KEY, SUBJECT, load, make_entry, signer, verify

VECTOR = load("entry_read_permit.json")
LEAF = VECTOR["leaf"].encode()
NONCE = bytes.fromhex(VECTOR["nonce"])
FACTS: dict[str, Json] = VECTOR["facts"]
REPLACED = load("refused.json")["entry"]["replace"]

ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(sorted(KINDS)),
    at_s=st.integers(0, MAX_SECONDS),
    nonce=st.binary(min_size=16, max_size=16),
    tag=st.binary(min_size=16, max_size=16),
    commitment=st.binary(min_size=32, max_size=32),
    gateway_key_id=st.binary(min_size=4, max_size=4).map(bytes.hex),
    signature=st.binary(min_size=64, max_size=64),
)


def build(**changes: Any) -> BuiltEntry:
    arguments: dict[str, Any] = {
        "kind": VECTOR["kind"],
        "at_s": VECTOR["at_s"],
        "nonce": NONCE,
        "keys": SUBJECT,
        "facts": FACTS,
        "gateway_key_id": GATEWAY_KEY.key_id.hex(),
        "sign": signer("gateway"),
    }
    return build_entry(**(arguments | changes))


def test_the_published_entry_is_built_byte_for_byte() -> None:
    built = build()
    assert built.leaf == LEAF
    assert built.leaf_hash.hex() == VECTOR["leaf_hash"]
    assert built.nonce == NONCE
    assert (built.disclosures, built.digests) == disclose(NONCE, SUBJECT, FACTS)


def test_the_published_entry_is_read_signed_and_opened() -> None:
    entry = Entry.parse(LEAF)
    assert entry.encode() == LEAF
    assert entry.tag == patient_tag(SUBJECT, NONCE)
    assert entry.commitment.hex() == VECTOR["commitment"]
    verify_entry_signature(entry, GATEWAY_KEY, verify)
    built = build()
    assert open_entry(entry, built.digests, built.disclosures) == FACTS


def test_an_entry_is_canonical_json_and_its_signature_covers_the_rest() -> None:
    members = parse_canonical(LEAF)
    assert isinstance(members, dict)
    assert sorted(members) == ["cm", "gw", "n", "pt", "sg", "t", "ts", "v"]
    del members["sg"]
    assert Entry.parse(LEAF).signed_bytes() == b"fhir-ledger/entry/v1\n" + canonical(members)


@given(ENTRIES)
def test_entries_round_trip(entry: Entry) -> None:
    leaf = entry.encode()
    assert Entry.parse(leaf) == entry
    assert canonical(parse_canonical(leaf)) == leaf


def test_a_flipped_byte_is_refused_or_breaks_the_signature() -> None:
    for at in range(len(LEAF)):
        for bit in (1, 0x20):
            changed = LEAF[:at] + bytes([LEAF[at] ^ bit]) + LEAF[at + 1 :]
            with pytest.raises((ValueError, VerificationFailed)):
                verify_entry_signature(Entry.parse(changed), GATEWAY_KEY, verify)


@pytest.mark.parametrize(("old", "new"), REPLACED.values(), ids=REPLACED)
def test_refused_spellings(old: str, new: str) -> None:
    assert old in LEAF.decode()
    with pytest.raises(ValueError):
        Entry.parse(LEAF.decode().replace(old, new, 1).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"null", LEAF[:-1], LEAF[1:], b"\xff" + LEAF, LEAF + LEAF])
def test_refused_bytes(data: bytes) -> None:
    with pytest.raises(ValueError):
        Entry.parse(data)


def test_an_entry_without_a_patient_looks_the_same() -> None:
    tag = bytes(range(16, 32))
    system = build(kind="key.rotate", facts={"old": "a", "new": "b", "kind": "gw"}, tag=tag)
    entry = Entry.parse(system.leaf)
    assert entry.tag == tag
    # Only the type's length differs.
    assert len(system.leaf) - len(entry.kind) == len(LEAF) - len(VECTOR["kind"])


NOT_BUILT: dict[str, Mapping[str, Any]] = {
    "unknown kind": {"kind": "read.allow"},
    "fact of another kind": {"facts": {"doc": "sha256:"}},
    "unknown fact": {"facts": {"name": "x"}},
    "decoy as a fact": {"facts": {"decoy0": "x"}},
    "float": {"facts": {"st": 200.0}},
    "seventeen facts": {"facts": dict.fromkeys(KINDS["read.permit"], 1)},
    "negative time": {"at_s": -1},
    "time in milliseconds": {"at_s": 1767225600123},
    "short nonce": {"nonce": bytes(15)},
    "long nonce": {"nonce": bytes(17)},
    "short tag": {"tag": bytes(15)},
    "long tag": {"tag": bytes(32)},
    "short key id": {"gateway_key_id": "989b68b"},
    "upper-case key id": {"gateway_key_id": "989B68B6"},
    "key id with newline": {"gateway_key_id": "989b68b6\n"},
    "short signature": {"sign": lambda _: bytes(63)},
}


@pytest.mark.parametrize("changes", NOT_BUILT.values(), ids=NOT_BUILT)
def test_what_is_not_built(changes: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError):
        build(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "read"},
        {"at_s": MAX_SECONDS + 1},
        {"nonce": b""},
        {"tag": b""},
        {"commitment": bytes(31)},
        {"gateway_key_id": ""},
        {"signature": bytes(65)},
    ],
    ids=str,
)
def test_an_entry_is_checked_when_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(Entry.parse(LEAF), **changes)


def test_a_signature_holds_for_its_gateway_only() -> None:
    entry = Entry.parse(LEAF)
    with pytest.raises(VerificationFailed, match="another gateway key"):
        verify_entry_signature(entry, LOG_KEY, verify)
    with pytest.raises(VerificationFailed, match="does not verify"):
        verify_entry_signature(replace(entry, at_s=entry.at_s + 1), GATEWAY_KEY, verify)


def test_facts_open_for_their_own_entry_only() -> None:
    built, other = build(), make_entry(1, pat="Patient/other")
    entry = Entry.parse(built.leaf)
    with pytest.raises(VerificationFailed, match="not those it commits to"):
        open_entry(entry, other.digests, other.disclosures)
    with pytest.raises(VerificationFailed, match="not among"):
        open_entry(entry, built.digests, other.disclosures)
    with pytest.raises(VerificationFailed, match="malformed digests"):
        open_entry(entry, built.digests[:-1], built.disclosures)
    with pytest.raises(VerificationFailed, match="malformed digests"):
        open_entry(entry, built.digests[::-1], built.disclosures)


def test_no_substring_links_the_entries_of_one_patient() -> None:
    """Past the members that many patients share, two entries of one patient have nothing in common."""
    built = [make_entry(number, pat="Patient/123", con=[12, "hash"]) for number in range(200)]
    entries = [Entry.parse(one.leaf) for one in built]
    for part in ("nonce", "tag", "commitment", "signature"):
        assert len({getattr(entry, part) for entry in entries}) == len(entries)
    windows: set[bytes] = set()
    for entry in entries:
        secret = entry.nonce + entry.tag + entry.commitment + entry.signature
        found = {secret[i : i + 6] for i in range(len(secret) - 5)}
        assert windows.isdisjoint(found)
        windows |= found


def test_the_leaf_hash_is_that_of_the_tree() -> None:
    built = make_entry(7, "consent.revoke", rsn="withdrawn")
    assert built.leaf_hash == leaf_hash(built.leaf)
