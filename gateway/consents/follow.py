"""Keeps a registry at the ledger's head: before each request, whatever was appended since is applied.

The head's mark is compared first, so a request at an unchanged head costs one comparison. A registry that
cannot be brought to the head is not read: the caller gets `LedgerUnavailable`, never an older state. After
an erasure the entries that were applied before are looked at again, and forgotten if their key is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from gateway.consents.entries import Erased, Erasure
from gateway.consents.registry import Registry
from gateway.core.tlog.opened import OpenedEntry
from gateway.errors import ConsentryError, LedgerUnavailable

Followed: TypeAlias = OpenedEntry | Erased | Erasure


class Follower:
    """`mark` reads a number that grows with every entry that may change a decision; `entries` gives what
    is to be followed after an index, in order."""

    def __init__(
        self,
        registry: Registry,
        mark: Callable[[], int],
        entries: Callable[[int], Iterable[Followed]],
    ) -> None:
        self._registry, self._mark, self._entries = registry, mark, entries
        self._seen = -1
        self._erasure = False

    def at_head(self) -> tuple[int, Registry]:
        """The head's mark and the registry as it is there. Raises `LedgerUnavailable`."""
        mark = self._mark()
        if mark != self._seen:
            self._catch_up()
            self._seen = mark
        return mark, self._registry

    def _catch_up(self) -> None:
        try:
            for entry in self._entries(self._registry.mark):
                self._take(entry)
            if self._erasure:
                self._look_again()
        except LedgerUnavailable:
            raise
        except ConsentryError as error:
            raise LedgerUnavailable from error

    def _take(self, entry: Followed) -> None:
        match entry:
            case Erased():
                self._registry.skip(entry)
            case Erasure():
                self._erasure = True  # until everything was looked at again, however often that fails
                self._registry.skip(entry)
            case _:
                self._registry.apply(entry)

    def _look_again(self) -> None:
        """Forget what was taken in and can no longer be opened."""
        for entry in self._entries(-1):
            if isinstance(entry, Erased):
                self._registry.skip(entry)
        self._erasure = False
