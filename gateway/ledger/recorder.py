"""Facts into sealed entries, and back for who holds the keys.

`Recorder.seal` commits to the facts, signs, and encrypts them under the patient's key with the leaf
hash as associated data; it appends nothing. `LedgerReader` opens what was sealed and checks that the
sidecar is the one of its entry before it tells a fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core.canon import Json, b64url, sha256_text
from gateway.core.tlog.disclosure import NONCE_BYTES, TAG_BYTES, commitment
from gateway.core.tlog.entry import Entry, build_entry
from gateway.core.tlog.sidecar import Sidecar, encode_sidecar
from gateway.core.tlog.tiles import TILE_WIDTH, split_hashes
from gateway.core.tlog.tree import leaf_hash
from gateway.entropy import random_bytes
from gateway.errors import Gone, NotFound, VerificationFailed
from gateway.ledger.integrity import held_to_tiles
from gateway.ledger.signing import SigningKey
from gateway.ledger.store import SealedEntry, StoredEntry, StoredSidecar, StoreReader
from gateway.ledger.vault import Vault

_GCM_NONCE_BYTES = 12
_ERASE = "erase"


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """An entry with its facts, which are shown to have been committed to. Patient data: no repr of them."""

    index: int
    kind: str
    at_s: int
    leaf_hash: bytes
    facts: Mapping[str, Json] = field(repr=False)
    attachments: Mapping[str, str] = field(repr=False)


class Recorder:
    """Seals entries in the name of one gateway."""

    def __init__(self, vault: Vault, gateway: SigningKey) -> None:
        self._vault = vault
        self._gateway = gateway
        self._gateway_id = gateway.verifier.key_id.hex()

    def seal(
        self,
        kind: str,
        facts: Mapping[str, Json],
        patient: str | None,
        at_ms: int,
        attachments: Mapping[str, str] | None = None,
    ) -> SealedEntry:
        """An entry of `kind` that hides `facts` under the keys of `patient` (None: the organisation's).

        `ms` is added to the facts, and for each attachment the fact of its name, its SHA-256. Raises
        ValueError for a fact this kind cannot hide, LedgerUnavailable when the vault cannot be used.
        """
        texts = attachments or {}
        made: dict[str, Json] = {"ms": at_ms}
        for name, text in texts.items():
            made[name] = sha256_text(text.encode())
        for name, value in made.items():
            if facts.get(name, value) != value:
                raise ValueError("a fact differs from what the entry is sealed with")
        at_s = at_ms // 1000
        subject = self._vault.keys_for(patient)
        built = build_entry(
            kind,
            at_s,
            random_bytes(NONCE_BYTES),
            subject.keys,
            {**facts, **made},
            self._gateway_id,
            self._gateway.sign,
            tag=random_bytes(TAG_BYTES) if patient is None else None,
        )
        plain = encode_sidecar(built.disclosures, built.digests, texts)
        return SealedEntry(
            nonce=built.nonce,
            leaf=built.leaf,
            leaf_hash=built.leaf_hash,
            kind=kind,
            at_s=at_s,
            key_id=subject.key_id,
            sidecar=_encrypt(subject.keys.enc, plain, built.leaf_hash),
        )


class LedgerReader:
    """Opens entries of a ledger with the keys in a vault.

    A sidecar that names a key nobody has is damage, unless an `erase` entry of the ledger names that key:
    otherwise a changed byte beside a withdrawal would make it look erased.
    """

    def __init__(self, reader: StoreReader, vault: Vault) -> None:
        self._reader = reader
        self._vault = vault
        self._erased: set[str] = set()
        self._erasures_read = -1  # index of the last `erase` entry that was read

    def facts(self, index: int) -> OpenedEntry:
        """The entry at `index` with all its facts.

        Raises NotFound if there is none, Gone if its key was destroyed and that is recorded,
        VerificationFailed if the sidecar is missing, is not the one of this entry or names no key.
        """
        stored = self._reader.entry(index)
        if stored is None:
            raise NotFound("There is no such ledger entry.")
        return self.open(stored)

    def open(self, stored: StoredEntry) -> OpenedEntry:
        """As `facts`, for an entry that was read already (`entries_of`)."""
        entry, hash_ = _parse(stored), leaf_hash(stored.leaf)
        sidecar = self._decrypted(stored.index, entry, hash_, self._reader.sidecar(stored.index))
        try:
            facts = sidecar.check(entry)
        except VerificationFailed as wrong:
            raise _not_recorded(stored.index) from wrong
        return OpenedEntry(stored.index, entry.kind, entry.at_s, hash_, facts, sidecar.attachments)

    def check(self, first: int, entries: Sequence[Entry]) -> None:
        """The sidecars of neighbouring entries of one tile, to which they were held: each can be decrypted
        and has the digests that its entry commits to, or its key was destroyed."""
        hashes = _hashes(self._reader, first, len(entries))
        sidecars = self._reader.sidecars(first, first + len(entries))
        for index, (entry, hash_, found) in enumerate(zip(entries, hashes, sidecars, strict=True), first):
            with suppress(Gone):
                sidecar = self._decrypted(index, entry, hash_, found)
                if commitment(sidecar.digests) != entry.commitment:
                    raise _not_recorded(index)

    def _decrypted(self, index: int, entry: Entry, hash_: bytes, found: StoredSidecar | None) -> Sidecar:
        if found is None:
            raise VerificationFailed(f"entry {index}: its sidecar is missing")
        subject = self._vault.keys_by_id(found.key_id)
        if subject is None:
            raise self._no_key(index, found.key_id, entry.kind)
        try:
            return Sidecar.parse(_decrypt(subject.keys.enc, found.data, hash_))
        except (InvalidTag, ValueError) as wrong:
            raise _not_recorded(index) from wrong

    def _no_key(self, index: int, key_id: bytes, kind: str) -> Gone | VerificationFailed:
        if kind != _ERASE and self._is_erased(b64url(key_id)):
            return Gone("The key to this ledger entry was destroyed; its facts cannot be read any more.")
        return VerificationFailed(
            f"entry {index}: its sidecar names a key that is unknown and was not erased"
        )

    def _is_erased(self, key_id: str) -> bool:
        """Whether the ledger says that this key was destroyed."""
        erasures = self._reader.entries_of(frozenset({_ERASE}), self._erasures_read)
        for stored in held_to_tiles(self._reader, erasures):
            self._erased.add(str(self.open(stored).facts.get("kid")))
            self._erasures_read = stored.index
        return key_id in self._erased


def _not_recorded(index: int) -> VerificationFailed:
    return VerificationFailed(f"entry {index}: its sidecar is not the one recorded")


def _parse(stored: StoredEntry) -> Entry:
    try:
        return Entry.parse(stored.leaf)
    except ValueError as wrong:
        raise VerificationFailed(f"entry {stored.index}: {wrong}") from wrong


def _hashes(reader: StoreReader, first: int, number: int) -> list[bytes]:
    """The leaf hashes of neighbouring entries of one tile."""
    tile, place = divmod(first, TILE_WIDTH)
    return split_hashes(reader.tile(0, tile) or b"")[place : place + number]


def _encrypt(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = random_bytes(_GCM_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _decrypt(key: bytes, data: bytes, associated: bytes) -> bytes:
    return AESGCM(key).decrypt(data[:_GCM_NONCE_BYTES], data[_GCM_NONCE_BYTES:], associated)
