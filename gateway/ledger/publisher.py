"""Signed checkpoints of committed heads, and the copy of the last one outside the database.

The order of writes never changes: durable entries, then the durable checkpoint row, then the outside
copy, then anyone may see it. The copy lies in the key folder, which a restored database does not
bring back, so a rollback is noticed at the next start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.core.tlog.checkpoint import Checkpoint
from gateway.core.tlog.note import sign_note
from gateway.ledger.durable import replace
from gateway.ledger.signing import SigningKey
from gateway.ledger.store import Appender, Head


@dataclass(frozen=True, slots=True)
class Published:
    """The last checkpoint that others may have seen: its size, and the signed note."""

    size: int
    note: bytes


class Publisher:
    """Publishes heads of one log. Used by the thread that owns the appender."""

    def __init__(self, key: SigningKey, appender: Appender, outside: Path, last: Published) -> None:
        self._key = key
        self._appender = appender
        self._outside = outside
        self.last = last

    @property
    def origin(self) -> str:
        return self._key.name

    def publish(self, head: Head) -> Published:
        """Sign `head`, which is committed and not smaller than the last one, and make it the last."""
        note = sign_head(self._key, head)
        self._appender.publish(head.size, note)
        # A crash here leaves the outside copy behind the row; the next start or publication renews it.
        replace(self._outside, note, 0o644)
        self.last = Published(head.size, note)
        return self.last


def sign_head(key: SigningKey, head: Head) -> bytes:
    """The checkpoint of `head`, signed by the log."""
    text = Checkpoint(key.name, head.size, head.root).text()
    return sign_note(text, key.verifier, key.sign).encode()
