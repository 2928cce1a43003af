"""Random bytes from the operating system, fetched in larger pieces.

A read needs a few dozen of them, and each call to the system costs more than the bytes do. No byte is
given out twice: not to two threads, and not to two processes after a fork.
"""

from __future__ import annotations

import os
import threading
from typing import Final

PIECE: Final = 8192


class _Pool:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._piece = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        with self._lock:
            if self._at + count > len(self._piece):
                self._piece, self._at = os.urandom(max(PIECE, count)), 0
            start = self._at
            self._at += count
            return self._piece[start : self._at]


_pool = _Pool()


def random_bytes(count: int) -> bytes:
    """`count` bytes fit for keys and nonces."""
    return _pool.take(count)


def _forget() -> None:
    """A child must not go on with the bytes of its parent, nor with a lock that a lost thread holds."""
    global _pool
    _pool = _Pool()


os.register_at_fork(after_in_child=_forget)
