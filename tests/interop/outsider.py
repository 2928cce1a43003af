"""A verifier of served logs that shares no code with the gateway: what an auditor would write from the texts.

RFC 6962 section 2.1 (tree, proofs), C2SP signed-note, tlog-checkpoint, tlog-tiles and tlog-proof. It reads
by HTTP alone and trusts one public key. Everything is derived anew, in the plainest way; nothing is fast.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Get = Callable[[str], bytes | None]
"""A path below the log's address, without a leading slash; None for a 404."""


class Refused(Exception):
    """What does not hold."""


@dataclass(frozen=True)
class Seen:
    """A head whose signature was verified: worth keeping."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class LogKey:
    """The key of a `<name>+<key id>+<base64(0x01 || key)>` line."""

    name: str
    key_id: bytes
    public: bytes

    @classmethod
    def read(cls, line: str) -> Self:
        name, key_id, material = line.strip().split("+", 2)
        typed = base64.b64decode(material, validate=True)
        expected = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
        if typed[0] != 1 or len(typed) != 33 or expected.hex() != key_id:
            raise Refused("the key line is not an Ed25519 key's")
        return cls(name, expected, typed[1:])

    def open(self, note: bytes) -> Seen:
        """The head in a signed checkpoint. Raises Refused."""
        text, _, signatures = note.decode().rpartition("\n\n")
        prefix = f"\u2014 {self.name} "
        ours = [line.removeprefix(prefix) for line in signatures.splitlines() if line.startswith(prefix)]
        if len(ours) != 1:
            raise Refused("checkpoint: not signed by this log")
        try:
            signature = base64.b64decode(ours[0], validate=True)
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature[4:], f"{text}\n".encode())
            origin, size, root, *more = text.split("\n")
            head = Seen(origin, int(size), base64.b64decode(root, validate=True))
        except (InvalidSignature, ValueError):
            raise Refused("checkpoint: the signature is wrong, or it is none") from None
        if signature[:4] != self.key_id or origin != self.name or more or str(int(size)) != size:
            raise Refused("checkpoint: not three lines of this log")
        return head


def verify(get: Get, key: LogKey, note: bytes, earlier: Sequence[Seen] = ()) -> list[bytes]:
    """The entries below the head in `note`, after all entries, all tiles and all `earlier` heads fit."""
    head = key.open(note)
    entries = _entries(get, head.size)
    hashes = [leaf(entry) for entry in entries]
    if tree(hashes) != head.root:
        raise Refused("checkpoint: the entries do not lead to its root")
    _check_tiles(get, hashes)
    for seen in earlier:
        if seen.size > head.size or tree(hashes[: seen.size]) != seen.root:
            raise Refused(f"checkpoint: no continuation of the head of {seen.size} entries")
    return entries


def verify_proof(key: LogKey, proof: bytes, index: int, leaf_hash: bytes) -> Seen:
    """The head that a C2SP tlog-proof shows the entry to be under. Raises Refused."""
    head_text, _, note = proof.decode().partition("\n\n")
    first, second, *hashes = head_text.split("\n")
    if (first, second) != ("c2sp.org/tlog-proof@v1", f"index {index}"):
        raise Refused("proof: not of this entry")
    head = key.open(note.encode())
    path = [base64.b64decode(line, validate=True) for line in hashes]
    if index >= head.size or _root_from(index, head.size, leaf_hash, path) != head.root:
        raise Refused("proof: it does not lead to the head")
    return head


# --- RFC 6962 section 2.1 --------------------------------------------------------------------------


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def tree(hashes: Sequence[bytes]) -> bytes:
    """MTH, from leaf hashes."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = _split(len(hashes))
    return _node(tree(hashes[:k]), tree(hashes[k:]))


def _root_from(index: int, size: int, leaf_hash: bytes, path: Sequence[bytes]) -> bytes:
    """PATH(m, D[n]) of section 2.1.1, read backwards; the sibling next to the root comes last."""
    if size == 1:
        if path:
            raise Refused("proof: too long")
        return leaf_hash
    if not path:
        raise Refused("proof: too short")
    k = _split(size)
    if index < k:
        return _node(_root_from(index, k, leaf_hash, path[:-1]), path[-1])
    return _node(path[-1], _root_from(index - k, size - k, leaf_hash, path[:-1]))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return int(2 ** ((size - 1).bit_length() - 1))


# --- C2SP tlog-tiles -------------------------------------------------------------------------------


def _entries(get: Get, size: int) -> list[bytes]:
    entries: list[bytes] = []
    for number in range(-(-size // 256)):
        width = min(256, size - 256 * number)
        bundle = _fetch(get, "entries", number, width)
        found, at = [], 0
        while at < len(bundle):
            length = int.from_bytes(bundle[at : at + 2], "big")
            found.append(bundle[at + 2 : at + 2 + length])
            at += 2 + length
        if at != len(bundle) or len(found) != width:
            raise Refused(f"bundle {number}: not {width} whole entries")
        entries += found
    return entries


def _check_tiles(get: Get, hashes: Sequence[bytes]) -> None:
    """Tile n of level l holds the roots of 256 perfect subtrees of 256**l leaves each."""
    level, row = 0, list(hashes)
    while row:
        for number in range(-(-len(row) // 256)):
            expected = row[256 * number : 256 * (number + 1)]
            if _fetch(get, str(level), number, len(expected)) != b"".join(expected):
                raise Refused(f"tile {level}/{number}: not what the entries lead to")
        row = [tree(row[256 * n : 256 * (n + 1)]) for n in range(len(row) // 256)]
        level += 1


def _fetch(get: Get, level: str, number: int, width: int) -> bytes:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    path = f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")
    body = get(path)
    if body is None:
        raise Refused(f"{path}: missing")
    return body
