"""Keeps a registry at the ledger's head: before each request, whatever was appended since is applied.

The head's mark is compared first, so a request at an unchanged head costs one comparison. A registry that
cannot be brought to the head is not read: the caller gets `LedgerUnavailable`, never an older state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.consents.entries import OpenedEntry
from gateway.consents.registry import Registry
from gateway.errors import ConsentryError, LedgerUnavailable


class Follower:
    """`mark` reads a number that grows with every entry that may change a decision; `entries` gives the
    opened consent entries after an index."""

    def __init__(
        self,
        registry: Registry,
        mark: Callable[[], int],
        entries: Callable[[int], Iterable[OpenedEntry]],
    ) -> None:
        self._registry, self._mark, self._entries = registry, mark, entries
        self._seen = -1

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
                self._registry.apply(entry)
        except LedgerUnavailable:
            raise
        except ConsentryError as error:
            raise LedgerUnavailable from error
