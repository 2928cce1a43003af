"""Facts into sealed entries, and back for who holds the keys.

`Recorder.seal` commits to the facts, signs, and encrypts them under the patient's key with the leaf
hash as associated data; it appends nothing. `LedgerReader` opens what was sealed and checks that the
sidecar is the one of its entry before it tells a fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core.canon import Json, sha256_text
from gateway.core.tlog.disclosure import NONCE_BYTES, TAG_BYTES
from gateway.core.tlog.entry import Entry, build_entry
from gateway.core.tlog.sidecar import Sidecar
from gateway.core.tlog.tree import leaf_hash
from gateway.entropy import random_bytes
from gateway.errors import Gone, NotFound, VerificationFailed
from gateway.ledger.signing import SigningKey
from gateway.ledger.store import SealedEntry, StoredEntry, StoreReader
from gateway.ledger.vault import Vault

_GCM_NONCE_BYTES = 12


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
        made: dict[str, Json] = {"ms": at_ms} | {n: sha256_text(text.encode()) for n, text in texts.items()}
        if any(facts.get(name, value) != value for name, value in made.items()):
            raise ValueError("a fact differs from what the entry is sealed with")
        subject = self._vault.keys_for(patient)
        built = build_entry(
            kind,
            at_ms // 1000,
            random_bytes(NONCE_BYTES),
            subject.keys,
            {**facts, **made},
            self._gateway_id,
            self._gateway.sign,
            tag=random_bytes(TAG_BYTES) if patient is None else None,
        )
        plain = Sidecar(built.disclosures, built.digests, texts).encode()
        return SealedEntry(
            nonce=built.nonce,
            leaf=built.leaf,
            leaf_hash=built.leaf_hash,
            kind=kind,
            at_s=at_ms // 1000,
            key_id=subject.key_id,
            sidecar=_encrypt(subject.keys.enc, plain, built.leaf_hash),
        )


class LedgerReader:
    """Opens entries of a ledger with the keys in a vault."""

    def __init__(self, reader: StoreReader, vault: Vault) -> None:
        self._reader = reader
        self._vault = vault

    def facts(self, index: int) -> OpenedEntry:
        """The entry at `index` with all its facts.

        Raises NotFound if there is none, Gone if its key was destroyed, VerificationFailed if the
        sidecar is missing or not the one of this entry.
        """
        stored = self._reader.entry(index)
        if stored is None:
            raise NotFound("There is no such ledger entry.")
        return self.open(stored)

    def open(self, stored: StoredEntry) -> OpenedEntry:
        """As `facts`, for an entry that was read already (`entries_of`)."""
        found = self._reader.sidecar(stored.index)
        if found is None:
            raise VerificationFailed(f"entry {stored.index}: its sidecar is missing")
        subject = self._vault.keys_by_id(found.key_id)
        if subject is None:
            raise Gone("The key to this ledger entry was destroyed; its facts cannot be read any more.")
        hash_ = leaf_hash(stored.leaf)
        try:
            entry = Entry.parse(stored.leaf)
            sidecar = Sidecar.parse(_decrypt(subject.keys.enc, found.data, hash_))
        except (InvalidTag, ValueError) as wrong:
            raise VerificationFailed(f"entry {stored.index}: its sidecar is not the one recorded") from wrong
        facts = sidecar.check(entry)
        return OpenedEntry(stored.index, entry.kind, entry.at_s, hash_, facts, sidecar.attachments)


def _encrypt(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = random_bytes(_GCM_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _decrypt(key: bytes, data: bytes, associated: bytes) -> bytes:
    return AESGCM(key).decrypt(data[:_GCM_NONCE_BYTES], data[_GCM_NONCE_BYTES:], associated)
