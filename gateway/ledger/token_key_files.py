"""The files of the keys that sign tokens, and the steps by which one replaces another.

    issuer.jwk          private; signs access tokens until the key to come is due
    issuer-next.jwk     private; published, and signs from its `nbf` on. Without `nbf` it never signs
    issuer-<kid8>.jwk   public, of a key that was replaced; at its `exp` no token that it signed lives

and `openid…` for id_tokens. Each step leaves a folder that says the same before and after it, so whatever
was cut off is done by the next. What is recorded, and when, is for the caller.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from gateway.errors import ConfigError
from gateway.ledger.durable import replace, sync_folder
from gateway.ledger.key_files import read_key, refuse_open
from gateway.ledger.token_keys import (
    OVERLAP_S,
    Private,
    TokenKeys,
    Use,
    read_private,
    read_replaced,
)

T = TypeVar("T")
_ID_CHARACTERS: Final = 8  # of the thumbprint, in a file's name: 48 bits


class TokenKeyFiles:
    """The files of one use in a key folder."""

    def __init__(self, folder: Path, use: Use) -> None:
        self.use = use
        self._folder = folder
        self._first, self._next = folder / f"{use.name}.jwk", folder / f"{use.name}-next.jwk"

    def stamp(self) -> tuple[tuple[str | int, ...], ...]:
        """Something that differs once a file does. Raises OSError."""
        stats = [(path.name, path.stat()) for path in (self._first, *self._further())]
        return tuple((name, s.st_mtime_ns, s.st_size, s.st_ino, s.st_mode) for name, s in stats)

    def read(self) -> TokenKeys:
        """All keys. Raises ConfigError naming the file that is missing, open to others or wrong; OSError."""
        # From the place that a key leaves to the one it goes to, so that none is missed that is on its way.
        coming = self._found(self._next, read_private)
        first = self._read(self._first, read_private)
        replaced = [self._found(path, read_replaced) for path in self._further() if path != self._next]
        if coming is not None and coming.kid == first.kid:
            coming = None
        private = {first.kid, None if coming is None else coming.kid}
        ended = (key for key in replaced if key is not None and key.kid not in private)
        by_end = sorted(ended, key=lambda key: (-key.until_s, key.kid))
        return TokenKeys(self.use, Private(first.jwk), coming, tuple(by_end))

    # --- Changes, for the holder of the lock ---------------------------------------------------------

    @contextmanager
    def locked(self, wait: bool = True) -> Iterator[None]:
        """One process changes keys at a time. Raises BlockingIOError if another does and we do not wait."""
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(handle)  # and with it the lock

    def publish(self) -> None:
        """Makes the key to come, unless there is one. It is published from now on, and does not sign."""
        if self.read().coming is None:
            self._put(self._next, json.loads(self.use.make()))

    def schedule(self, from_s: int) -> None:
        """The key to come, which is there, signs from then on."""
        coming = self.read().coming
        assert coming is not None
        # Commit point: from here on the key signs at its time, whatever else happens.
        self._put(self._next, {**coming.jwk, "nbf": from_s})

    def settle(self, now_s: int) -> None:
        """Puts a key to come that is due in the place of the one before it, whose private part is deleted.

        Readers are told the same before and after. Raises ConfigError, OSError.
        """
        keys = self.read()
        if keys.coming is not None and keys.coming.from_s is not None and keys.coming.is_due(now_s):
            until_s = keys.coming.from_s + OVERLAP_S
            self._put(self._file_of(keys.first.kid), {**self.use.public(keys.first.jwk), "exp": until_s})
            self._put(self._first, keys.coming.jwk)
            # Commit point: the old private part is gone. A crash here leaves the new key under two names.
        self._tidy()

    def settle_if_free(self, now_s: int) -> None:
        """As `settle`, for one that does not hold the lock; if another process does, it is left to that."""
        with suppress(BlockingIOError), self.locked(wait=False):
            self.settle(now_s)

    def retire(self, kid: str) -> None:
        """Ends a replaced key: it is published no more, and nothing that it signed is believed."""
        self._file_of(kid).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _tidy(self) -> None:
        """Deletes what a crash may have left: private keys under a second name."""
        left = [path.with_name(f".{path.name}.new") for path in (self._first, self._next)]
        coming = self._found(self._next, read_private)
        if coming is not None and coming.kid == self._read(self._first, read_private).kid:
            left.append(self._next)
        for path in left:
            path.unlink(missing_ok=True)
        sync_folder(self._folder)

    # --- One file ------------------------------------------------------------------------------------

    def _further(self) -> list[Path]:
        """All but the first, by name. Raises OSError."""
        names = os.listdir(self._folder)
        start = f"{self.use.name}-"
        return [
            self._folder / name for name in sorted(names) if name.startswith(start) and name.endswith(".jwk")
        ]

    def _file_of(self, kid: str) -> Path:
        return self._folder / f"{self.use.name}-{kid[:_ID_CHARACTERS]}.jwk"

    def _put(self, path: Path, members: Mapping[str, object]) -> None:
        replace(path, json.dumps(members).encode() + b"\n", 0o600)

    def _found(self, path: Path, parse: Callable[[str, Use], T]) -> T | None:
        """The key, or None if there is none: it may go between two looks."""
        try:
            return self._read(path, parse)
        except ConfigError:
            if path.exists():
                raise
            return None

    def _read(self, path: Path, parse: Callable[[str, Use], T]) -> T:
        refuse_open(path)
        return read_key(path, lambda text: parse(text, self.use))
