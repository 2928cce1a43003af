"""docs/formats.md shows the bytes of the fixtures and the whole table of facts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core.tlog.disclosure import KINDS
from tests.core.tlog.support import FIXTURES, KEYS, load

DOC = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
ENTRY = load("entry_read_permit.json")
CT = load("ct_tree.json")
TILES = load("tiles_70000.json")

SHOWN = {
    "log key": KEYS["log"]["vkey"],
    "private key": KEYS["log"]["skey"],
    "witness key": KEYS["witness"]["vkey"],
    "checkpoint": (FIXTURES / "checkpoint_8.txt").read_text(),
    "receipt": (FIXTURES / "entry_5_of_8.tlog-proof").read_text().split("—")[0],
    "leaf hash of entry 0": CT["leaf_hashes"]["0"],
    "root of 8": CT["roots"]["8"],
    "root of 70000": TILES["root"],
    "entry": ENTRY["leaf"],
    "entry's leaf hash": ENTRY["leaf_hash"],
    "tag key": ENTRY["tag_key"],
    "salt key": ENTRY["salt_key"],
    "disclosure": ENTRY["disclosure_of_pat"],
    "digest": ENTRY["digest_of_pat"],
    "commitment": ENTRY["commitment"],
}


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_the_examples_are_the_fixtures(text: str) -> None:
    assert text in DOC


def test_the_tiles_shown_are_the_published_ones() -> None:
    shown = re.findall(r"^(tile/\S+) +([0-9]+) +([0-9a-f]{64})$", DOC, re.M)
    assert len(shown) == 3
    assert all(TILES["bodies"][path] == [int(length), digest] for path, length, digest in shown)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_fact_is_described(kind: str) -> None:
    row = re.search(rf"^\| `{re.escape(kind)}` \| (.*) \|$", DOC, re.M)
    common = re.search(r"Every type may hide (.*?);", DOC, re.S)
    assert row is not None
    assert common is not None
    named = set(re.findall("`([a-z][a-z0-9_]*)`", row[1] + common[1]))
    if kind == "consent.change":
        named |= KINDS["consent.grant"]
    assert named == KINDS[kind]
