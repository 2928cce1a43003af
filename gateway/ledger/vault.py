"""The key vault: one random key per patient and one for the organisation, wrapped, in its own database.

Everything readable about a patient's history hangs on that patient's key, so: a key is durable
before its first use, it exists once whoever asks first, and `destroy` makes the history unreadable
for good. The database holds no patient id: a row is found by an HMAC of the id, and sidecars name
it by a random key id. Whether a key may be destroyed (legal holds) is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, Session, SQLModel, create_engine, select

from gateway.core.tlog.disclosure import SubjectKeys, derive_keys, keyed_hash
from gateway.errors import LedgerUnavailable

KEY_BYTES = 32
KEY_ID_BYTES = 16
CACHED_KEYS = 10_000
NOTICED_WITHIN_S = 0.1
"""How long an erasure by another process may go unnoticed; whoever erases waits as long."""
_NONCE_BYTES = 12


class SubjectKey(SQLModel, table=True):
    """One wrapped key. `handle` is an HMAC of the patient id; `wrapped` is nonce and ciphertext."""

    __tablename__ = "subject_key"

    key_id: bytes = Field(primary_key=True)
    handle: bytes = Field(unique=True)
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """The keys of one patient, or of the organisation, and the id that sidecars carry."""

    key_id: bytes
    keys: SubjectKeys


class Vault:
    """The vault in the SQLite file `path`, opened with the key-encryption key. Safe in several
    threads and processes. Every method raises LedgerUnavailable if the file cannot be used."""

    def __init__(self, path: Path, kek: bytes) -> None:
        self._wrapping = AESGCM(hmac.digest(kek, b"consentry/vault/v1/wrap", hashlib.sha256))
        self._handle_hash = keyed_hash(hmac.digest(kek, b"consentry/vault/v1/handle", hashlib.sha256))
        self._erasures = _Erasures(path.with_name(path.name + ".erasures"))
        self._cache = _Cache(CACHED_KEYS)
        self._lock = threading.Lock()
        self._engine = _engine(path)
        with _named_failure(), self._engine.begin() as connection:
            table = SQLModel.metadata.tables["subject_key"]
            connection.execute(
                CreateTable(table, if_not_exists=True)
            )  # by several processes at once, perhaps

    def keys_for(self, patient: str | None) -> Subject:
        """The keys of `patient`, or of the organisation for None; made, durably, when there are none."""
        handle = self._handle(patient)
        held = self._cached(handle)
        if held is None:
            with _named_failure(), Session(self._engine) as session:
                row = _find(session, handle) or self._make(session, handle)
                held = self._keep(row)
        return held

    def keys_by_id(self, key_id: bytes) -> Subject | None:
        """The keys that a sidecar names, or None when they were destroyed."""
        held = self._cached(key_id)
        if held is None:
            with _named_failure(), Session(self._engine) as session:
                row = session.get(SubjectKey, key_id)
                held = None if row is None else self._keep(row)
        return held

    def key_id_of(self, patient: str | None) -> bytes | None:
        """The key id of `patient`, or None when there is no key; makes none."""
        with _named_failure(), Session(self._engine) as session:
            row = _find(session, self._handle(patient))
            return None if row is None else row.key_id

    def key_ids(self) -> Iterator[bytes]:
        """Every key id there is, in no order that means anything."""
        with _named_failure(), Session(self._engine) as session:
            yield from session.exec(select(SubjectKey.key_id)).all()

    def export(self, patient: str) -> bytes | None:
        """The 32 secret bytes of `patient`, for the patient: they open the log without our help."""
        with _named_failure(), Session(self._engine) as session:
            row = _find(session, self._handle(patient))
            return None if row is None else self._unwrap(row)

    def destroy(self, patient: str) -> bytes | None:
        """Destroy the key of `patient`; the id it had, or None if there was none.

        Afterwards no process unwraps or remembers it, so it takes NOTICED_WITHIN_S at least. Copies in
        backups of the vault live as long as those backups are kept.
        """
        with _named_failure(), Session(self._engine) as session:
            row = _find(session, self._handle(patient))
            key_id = None if row is None else row.key_id
            if row is not None:
                session.delete(row)
            session.commit()
            # Commit point: the row is gone and its page overwritten. A crash here leaves the key in
            # write-ahead pages and in the memory of other processes; calling `destroy` again ends that.
            session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            self._erasures.announce()
        with self._lock:
            self._cache.clear()
        time.sleep(NOTICED_WITHIN_S)
        return key_id

    def close(self) -> None:
        self._engine.dispose()

    def _make(self, session: Session, handle: bytes) -> SubjectKey:
        key_id = secrets.token_bytes(KEY_ID_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._wrapping.encrypt(nonce, secrets.token_bytes(KEY_BYTES), key_id + handle)
        row = SubjectKey(key_id=key_id, handle=handle, wrapped=nonce + sealed)
        session.add(row)
        try:
            # Commit point: the key is durable before anything is encrypted with it. A crash here leaves
            # a key without entries, which the next request of this patient uses.
            session.commit()
        except IntegrityError:
            session.rollback()  # another process was first, and its key is the one
            row = _find(session, handle) or _vanished()
        return row

    def _keep(self, row: SubjectKey) -> Subject:
        subject = Subject(row.key_id, derive_keys(self._unwrap(row)))
        with self._lock:
            self._cache.put(row.handle, row.key_id, subject)
        return subject

    def _unwrap(self, row: SubjectKey) -> bytes:
        nonce, sealed = row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:]
        try:
            return self._wrapping.decrypt(nonce, sealed, row.key_id + row.handle)
        except (InvalidTag, ValueError) as wrong:
            raise LedgerUnavailable(
                "A key in the vault was not wrapped with this key-encryption key."
            ) from wrong

    def _cached(self, name: bytes) -> Subject | None:
        with self._lock:
            if self._erasures.happened():
                self._cache.clear()
            return self._cache.get(name)

    def _handle(self, patient: str | None) -> bytes:
        subject = "organisation" if patient is None else f"patient\n{patient}"
        return self._handle_hash(subject.encode())


class _Cache:
    """Derived keys by handle and by key id; the least recently used go first. Not thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[bytes, Subject] = OrderedDict()

    def get(self, name: bytes) -> Subject | None:
        held = self._held.get(name)
        if held is not None:
            self._held.move_to_end(name)
        return held

    def put(self, handle: bytes, key_id: bytes, subject: Subject) -> None:
        self._held[handle] = self._held[key_id] = subject
        while len(self._held) > 2 * self._limit:
            self._held.popitem(last=False)

    def clear(self) -> None:
        self._held.clear()


class _Erasures:
    """A file that grows with every erasure, so that other processes forget the key.

    It is looked at before a key is used, unless that was done less than NOTICED_WITHIN_S ago.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._look()

    def announce(self) -> None:
        with open(self._path, "ab") as file:
            file.write(b".")

    def happened(self) -> bool:
        if time.monotonic() < self._look_after_s:
            return False
        before = self._seen
        self._look()
        return self._seen != before

    def _look(self) -> None:
        # The time before the look: an erasure during it is seen by the next one, in time.
        self._look_after_s = time.monotonic() + NOTICED_WITHIN_S
        try:
            self._seen = os.stat(self._path).st_size
        except FileNotFoundError:
            self._seen = 0


@contextlib.contextmanager
def _named_failure() -> Iterator[None]:
    """Turns what the database raises into LedgerUnavailable, in one place."""
    try:
        yield
    except (SQLAlchemyError, OSError) as failed:
        raise LedgerUnavailable("The key vault cannot be used.") from failed


def _find(session: Session, handle: bytes) -> SubjectKey | None:
    return session.exec(select(SubjectKey).where(SubjectKey.handle == handle)).first()


def _vanished() -> SubjectKey:
    raise LedgerUnavailable("A key was destroyed while it was being made; nothing was recorded.")


def _engine(path: Path) -> Engine:
    path.touch(mode=0o600, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
