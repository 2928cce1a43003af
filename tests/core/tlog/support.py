"""What the log's tests share: fixtures, Ed25519 for the callables, and a log held in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.core.canon import Json
from gateway.core.tlog.disclosure import derive_keys
from gateway.core.tlog.entry import BuiltEntry, build_entry
from gateway.core.tlog.note import Sign, VerifierKey
from gateway.core.tlog.proof import Node
from gateway.core.tlog.tiles import TILE_WIDTH, TilePath, encode_bundle
from gateway.core.tlog.tree import leaf_hash, node_hash

FIXTURES = Path(__file__).parents[3] / "fixtures" / "tlog"


def load(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


KEYS = load("keys.json")


def private_key(owner: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS[owner]["seed"]))


def signer(owner: str) -> Sign:
    return private_key(owner).sign


def public_key(owner: str) -> bytes:
    return private_key(owner).public_key().public_bytes_raw()


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


LOG_KEY = VerifierKey.ed25519(KEYS["log"]["name"], public_key("log"))
WITNESS_KEY = VerifierKey.cosigner(KEYS["witness"]["name"], public_key("witness"))
GATEWAY_KEY = VerifierKey.ed25519(KEYS["gateway"]["name"], public_key("gateway"))
SUBJECT = derive_keys(bytes(range(0x40, 0x60)))


def make_entry(number: int, kind: str = "read.permit", **facts: Json) -> BuiltEntry:
    """An entry whose nonce is made from `number`, signed by the test gateway."""
    nonce = hashlib.sha256(b"%d" % number).digest()[:16]
    key_id = GATEWAY_KEY.key_id.hex()
    return build_entry(kind, 1767225600 + number, nonce, SUBJECT, facts, key_id, signer("gateway"))


class MemoryLog:
    """Entries, and from them, by the definitions alone, every hash, tile and bundle."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = list(entries)
        self.levels = [[leaf_hash(entry) for entry in entries]]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            pairs = zip(below[::2], below[1::2], strict=False)
            self.levels.append([node_hash(left, right) for left, right in pairs])

    def read(self, nodes: Sequence[Node]) -> list[bytes]:
        return [self.levels[level][index] for level, index in nodes]

    def body(self, path: TilePath) -> bytes:
        """The bytes served at `path`; LookupError unless the log has all of them."""
        start = path.index * TILE_WIDTH
        if path.level is None:
            return encode_bundle(_slice(self.entries, start, path.hashes))
        return b"".join(_slice(self.levels[8 * path.level], start, path.hashes))


def _slice(items: Sequence[bytes], start: int, count: int) -> Sequence[bytes]:
    if start + count > len(items):
        raise LookupError("beyond the log")
    return items[start : start + count]
